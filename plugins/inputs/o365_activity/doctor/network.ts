// Can a host be reached: by which way, and what is wrong with its certificate.
import { errorCode } from '../../../../core/plugin/errors.ts'
import { type Finding, finding } from './finding.ts'
import { type Way, wayTo } from './proxy.ts'

export interface Reached {
  /** What the host is for: `login`, `API`, or both. */
  readonly what: string
  readonly origin: string
  /** Why no answer came. */
  readonly failure: Error | undefined
  /** The options `ca` and `proxy`. */
  readonly ca: string | undefined
  readonly proxy: string | undefined
  /** The option that names another host. */
  readonly option: string
}

const UNTRUSTED = new Set([
  ...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
  ...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_SIGNATURE_FAILURE'],
])
const OUT_OF_TIME = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'])
const NO_NAME = new Set(['ENOTFOUND', 'EAI_AGAIN'])

export function networkFinding(reached: Reached): Finding {
  const { what, origin, failure, ca, proxy } = reached
  const url = new URL(origin)
  const way = wayTo(url, proxy)
  const by = way.by === undefined ? '' : ` (${way.proxy === undefined ? `${way.by} names it` : way.by})`
  const path = way.proxy === undefined ? `without a proxy${by}` : `through the proxy ${way.proxy}${by}`
  if (!failure) {
    const trusted = ca === undefined ? 'its certificate is trusted' : `its certificate is trusted, with ca ${ca}`
    return finding('network', 'ok', `${what}: ${url.host} answers, ${path}; ${trusted}`)
  }
  const untrusted = UNTRUSTED.has(errorCode(failure))
  const why = untrusted ? 'its certificate is signed by nobody that is trusted here' : failure.message
  return finding('network', 'failed', `${what}: ${url.host} cannot be used, ${path}: ${why}`, remedyFor(reached, way))
}

function remedyFor({ failure, ca, option }: Reached, way: Way): string {
  const code = failure ? errorCode(failure) : ''
  if (UNTRUSTED.has(code))
    return ca === undefined
      ? 'Name the PEM file with the certificate of who signed it with the option ca; a proxy that reads along has one of its own.'
      : `The file of the option ca (${ca}) holds another certificate: put the one there that signed this host's, or its proxy's.`
  if (OUT_OF_TIME.has(code))
    return "Look at this machine's clock; if it is right, whoever runs that host must renew its certificate."
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `Check ${option}, and whether something between here and the service answers in its place.`
  if (way.proxy !== undefined)
    return `Check that the proxy ${way.proxy} runs and lets this host through; it is named by ${way.by}, and NO_PROXY can except a host.`
  if (NO_NAME.has(code))
    return `Check ${option} and the name servers of this machine; behind a proxy, name it with the option proxy.`
  return 'Let this machine reach it through the firewall (port 443), or name a proxy with the option proxy or HTTPS_PROXY.'
}
