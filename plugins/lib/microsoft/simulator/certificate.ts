// A certificate that a server on loopback makes for itself: for as long as it runs, signed by nobody but itself.
import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'

export interface SelfSigned {
  readonly key: string
  readonly cert: string
}

const DAYS = 30
const DAY_MS = 86_400_000
/** Types of a subjectAltName (RFC 5280, 4.2.1.6). */
const DNS = 2
const IP = 7

/** PEM texts of a new key and its certificate for these host names and addresses; good for 30 days. */
export async function selfSigned(hosts: readonly string[]): Promise<SelfSigned> {
  const { default: forge } = await import('node-forge')
  const { privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const own = forge.pki.privateKeyFromPem(privateKey) as import('node-forge').pki.rsa.PrivateKey
  const certificate = forge.pki.createCertificate()
  certificate.publicKey = forge.pki.setRsaPublicKey(own.n, own.e)
  // Its first byte is neither 0 (which may not lead) nor above 7f (which would make it negative).
  certificate.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(15))}`
  certificate.validity.notBefore = new Date(Date.now() - DAY_MS)
  certificate.validity.notAfter = new Date(Date.now() + DAYS * DAY_MS)
  const name = [{ name: 'commonName', value: 'penstock simulate' }]
  certificate.setSubject(name)
  certificate.setIssuer(name)
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', keyCertSign: true, digitalSignature: true, critical: true },
    {
      name: 'subjectAltName',
      altNames: hosts.map(host => (/^[\d.]+$|:/.test(host) ? { type: IP, ip: host } : { type: DNS, value: host })),
    },
  ])
  certificate.sign(own, forge.md.sha256.create())
  return { key: privateKey, cert: forge.pki.certificateToPem(certificate) }
}
