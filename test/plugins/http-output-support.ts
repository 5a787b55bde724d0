// What the tests of outputs over a network share: destinations that keep what they get, certificates that are wrong, and the real program.

import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecure } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { join } from 'node:path'
import type { SecureContextOptions, TlsOptions } from 'node:tls'
import { gunzipSync } from 'node:zlib'
import forge from 'node-forge'
import type { Test } from 'tap'
import { siteFiles } from '../../core/config/options-file.ts'
import { systemClock } from '../../core/observe/clock.ts'
import type { Plugin } from '../../core/plugin/define.ts'
import type { Context, Item, Output } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { start } from '../kit/process.ts'
import { encoded, fakeContext, site } from './file-output-support.ts'

export interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  /** As text, unpacked. */
  readonly body: string
}

export interface Destination {
  readonly url: string
  readonly port: number
  readonly seen: Seen[]
  readonly server: Server
  /** Ends every connection, and takes no more. */
  die(): Promise<void>
  /** Takes connections again, at the same port. */
  back(): Promise<void>
}

export interface Identity {
  readonly key: string
  readonly cert: string
}

/** Answers `200` where `answer` does nothing else; it is called once a request's body is there. */
export async function destination(
  t: Test,
  answer: (seen: Seen, response: ServerResponse, count: number) => void = (_, response) => void response.end(),
  tls?: Identity & SecureContextOptions & TlsOptions,
): Promise<Destination> {
  const seen: Seen[] = []
  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const parts: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const bytes = Buffer.concat(parts)
      const body = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes).toString()
      const one = { method: request.method ?? '', url: request.url ?? '', headers: request.headers, body }
      seen.push(one)
      answer(one, response, seen.length)
    })
  }
  let server = serverOf()
  function serverOf(): Server {
    const made: Server = tls ? createSecure(tls, listener) : createServer(listener)
    made.on('tlsClientError', () => {})
    return made
  }
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
  const die = () =>
    new Promise<void>(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  await listen(0)
  const { port } = server.address() as AddressInfo
  t.teardown(() => (server.listening ? die() : undefined))
  return {
    url: `http${tls ? 's' : ''}://localhost:${port}`,
    port,
    seen,
    get server() {
      return server
    },
    die,
    back() {
      server = serverOf()
      return listen(port)
    },
  }
}

export interface Opened {
  readonly output: Output
  readonly lines: string[]
  readonly gauges: Map<string, number>
  /** Encodes and writes; the messages of the rejects by index. Rejects with what `write` rejects with. */
  deliver(records: readonly JsonObject[], signal?: AbortSignal): Promise<Map<number, Error>>
  write(items: readonly Item[], signal?: AbortSignal): Promise<Map<number, Error>>
  items(records: readonly JsonObject[]): Item[]
}

/** An output on the real clock, open until the test ends. `secretFiles`: values → the files that they came from. */
export async function opened(
  t: Test,
  plugin: Plugin<Output>,
  options: JsonObject,
  secretFiles: ReadonlyMap<string, string> = new Map(),
): Promise<Opened> {
  const output = created(plugin, options, secretFiles)
  const { lines, log, rows } = fakeContext()
  const gauges = new Map<string, number>()
  const context: Context = {
    ...{ id: 'out', log, rows, clock: systemClock, maxEventBytes: 1 << 24 },
    health() {},
    metrics: { count() {}, gauge: (name, _, value) => void gauges.set(name, value) },
    get codec(): never {
      throw new Error('outputs have none')
    },
  }
  await output.open?.(context)
  t.teardown(() => output.close?.())
  const write = async (items: readonly Item[], signal = AbortSignal.timeout(30_000)) => {
    const rejected = new Map<number, Error>()
    await output.write(items, (index, error) => void rejected.set(index, error), signal)
    return rejected
  }
  return {
    ...{ output, lines, gauges, write },
    items: records => encoded(output, records),
    deliver: (records, signal) => write(encoded(output, records), signal),
  }
}

/** A plugin's instance with its defaults, as the engine makes it. */
export function created(
  plugin: Plugin<Output>,
  options: JsonObject,
  secretFiles: ReadonlyMap<string, string> = new Map(),
): Output {
  const defaults = Object.entries(plugin.options).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, value]],
  )
  return plugin.create({ ...Object.fromEntries(defaults), ...options }, { ...site('/', 'out'), ...siteFiles(secretFiles) })
}

export interface CertificateOptions {
  readonly hosts?: readonly string[]
  /** Valid from and to, in days from now. */
  readonly days?: readonly [from: number, to: number]
  /** Who signs it; itself without one. */
  readonly by?: Identity
  readonly ca?: boolean
}

/** A certificate of a new key, as wrong as it is asked for. */
export function certificate({
  hosts = ['localhost'],
  days = [-1, 30],
  by,
  ca = by === undefined,
}: CertificateOptions = {}): Identity {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const own = forge.pki.privateKeyFromPem(privateKey) as forge.pki.rsa.PrivateKey
  const made = forge.pki.createCertificate()
  made.publicKey = forge.pki.setRsaPublicKey(own.n, own.e)
  made.serialNumber = `01${forge.util.bytesToHex(forge.random.getBytesSync(15))}`
  const day = (from: number) => new Date(Date.now() + from * 86_400_000)
  made.validity.notBefore = day(days[0])
  made.validity.notAfter = day(days[1])
  const subject = [{ name: 'commonName', value: hosts[0] ?? 'nobody' }]
  made.setSubject(subject)
  made.setIssuer(by ? forge.pki.certificateFromPem(by.cert).subject.attributes : subject)
  made.setExtensions([
    { name: 'basicConstraints', cA: ca, critical: true },
    { name: 'keyUsage', keyCertSign: ca, digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'subjectAltName', altNames: hosts.map(host => ({ type: 2, value: host })) },
  ])
  made.sign(by ? (forge.pki.privateKeyFromPem(by.key) as forge.pki.rsa.PrivateKey) : own, forge.md.sha256.create())
  return { key: privateKey, cert: forge.pki.certificateToPem(made) }
}

/** Servers' certificates that a client must refuse, each with a part of what it says of them, for a host called localhost. */
export function wrongCertificates(ca: Identity): readonly (readonly [identity: Identity, said: string])[] {
  return [
    [certificate({ by: ca, hosts: ['other.example'] }), 'its certificate is for another host (it names DNS:other.example)'],
    [certificate({ by: ca, days: [-30, -1] }), 'its certificate has expired'],
    [certificate({ by: ca, days: [1, 30] }), 'its certificate is not valid yet'],
    [certificate(), 'its certificate is signed by itself; name its PEM file with ca'],
    [certificate({ by: certificate({ hosts: ['somebody'] }) }), 'its certificate is signed by nobody that is trusted here'],
  ]
}

/** What a server must be told so that it speaks nothing newer than TLS 1.1. */
export const OLD_TLS = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const

/** Numbered records, as NDJSON; ids from e0 on. `pad`: characters that each has more. */
export function recordsOf(count: number, pad = 0): string {
  const text = 'x'.repeat(pad)
  const one = (n: number) => JSON.stringify({ n, event: { id: `e${n}`, dataset: 'o365.audit' }, ...(pad > 0 && { text }) })
  return Array.from({ length: count }, (_, n) => `${one(n)}\n`).join('')
}

export interface Running {
  readonly ended: ReturnType<typeof start>['ended']
  /** What it has said so far. */
  said(): string
  kill(): void
}

/** A folder with a pipeline from a file of records to this output. */
export function pipelineFolder(t: Test, records: string, output: string): string {
  return t.testdir({
    'in.ndjson': records,
    'pipeline.yaml': `name: net
in_flight_bytes: 65536
inputs:
  - { type: file, paths: [in.ndjson] }
outputs:
  - ${output}
`,
  })
}

/** Starts the real program in such a folder, where it goes on from what it has stored there. */
export function runIn(t: Test, folder: string): Running {
  const { child, ended } = start(['run', join(folder, 'pipeline.yaml'), '--log-format', 'json', '--no-progress'], { cwd: folder })
  let text = ''
  child.stderr?.on('data', (part: string) => {
    text += part
  })
  const kill = () => void child.kill('SIGKILL')
  t.teardown(kill)
  return { ended, said: () => text, kill }
}

/** Starts the real program on a file of records and this output. */
export function runPipeline(t: Test, count: number, output: string): Running {
  return runIn(t, pipelineFolder(t, recordsOf(count), output))
}

export function reset(socket: Socket): void {
  socket.on('error', () => {})
  socket.resetAndDestroy()
}
