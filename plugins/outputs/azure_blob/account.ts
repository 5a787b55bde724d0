// Which account, and by which right: the options of the output as one way in, and what is wrong with them.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { OptionValues } from '../../../core/plugin/options.ts'
import type { OPTIONS } from './options.ts'

export type Options = OptionValues<typeof OPTIONS>

/** Options that are a right of their own; `tenant_id` stands for Entra. */
export const RIGHTS = ['connection_string', 'account_key', 'sas_url', 'sas_token', 'tenant_id'] as const
export type Right = (typeof RIGHTS)[number]

export interface Account {
  /** URL of the Blob service, without a slash at its end. */
  readonly endpoint: string
  readonly name?: string
  readonly key?: string
  /** Without a question mark. */
  readonly sas?: string
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i
const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/
const CREDENTIALS = ['client_secret', 'client_certificate', 'federated_token_file'] as const

/** The one right that is configured. @throws OptionError for none, several, or half of one */
export function rightOf(options: Options): Right {
  const given = RIGHTS.filter(option => options[option] !== undefined)
  const [right] = given
  if (given.length !== 1 || !right) {
    const has = given.length === 0 ? 'none is given' : `${given.join(' and ')} are given`
    throw new OptionError(
      '',
      `it needs one of connection_string, account_key, sas_url, sas_token and, for Entra, tenant_id with client_id: ${has}`,
    )
  }
  const others = (['client_id', ...CREDENTIALS] as const).filter(option => options[option] !== undefined)
  if (right !== 'tenant_id') {
    if (others[0]) throw new OptionError(others[0], `belongs to Entra, and ${right} is given; leave one of the two out`)
    return right
  }
  for (const option of ['tenant_id', 'client_id'] as const) {
    const id = options[option]
    if (id === undefined) throw new OptionError('', `Entra needs ${option} too`)
    if (!GUID.test(id)) throw new OptionError(option, `"${id}" is no GUID`)
  }
  const ways = CREDENTIALS.filter(option => options[option] !== undefined).length
  if (ways !== 1)
    throw new OptionError(
      '',
      `Entra needs one of client_secret, client_certificate and federated_token_file; there ${ways === 0 ? 'is none' : `are ${ways}`}`,
    )
  const { authority_url } = options
  const authority = URL.parse(authority_url)
  if (authority?.protocol !== 'https:' || authority.origin !== authority_url.replace(/\/$/, ''))
    throw new OptionError(
      'authority_url',
      `"${authority_url}" is no origin with https; write it like https://login.microsoftonline.com`,
    )
  return right
}

/**
 * The account. `secret`: what the right's option says now, which may come from a file.
 * @throws OptionError for what is missing or cannot be read
 */
export function accountOf(options: Options, right: Right, secret: string): Account {
  const { container } = options
  if (right === 'connection_string') return fromConnectionString(options, secret)
  if (right === 'sas_url') {
    if (options.endpoint !== undefined) throw new OptionError('endpoint', 'is part of sas_url already; leave one of the two out')
    const url = URL.parse(secret)
    if (!url)
      throw new OptionError('sas_url', 'is no URL; write it like https://ACCOUNT.blob.core.windows.net/CONTAINER?sv=…&sig=…')
    const sas = sasOf(url.search, 'sas_url')
    url.search = ''
    const endpoint = endpointOf(url.href, 'sas_url', true)
    const below = `/${container}`
    return { endpoint: endpoint.endsWith(below) ? endpoint.slice(0, -below.length) : endpoint, sas }
  }
  if (options.account === undefined && (right === 'account_key' || options.endpoint === undefined))
    throw new OptionError('', right === 'account_key' ? 'account_key needs account too' : 'it needs account, or endpoint')
  const endpoint = endpointOf(
    options.endpoint ?? `https://${options.account}.blob.core.windows.net`,
    options.endpoint === undefined ? 'account' : 'endpoint',
    true,
  )
  if (right === 'sas_token') return { endpoint, sas: sasOf(secret, 'sas_token') }
  if (right === 'account_key') return { endpoint, name: options.account as string, key: keyOf(secret, 'account_key') }
  if (!endpoint.startsWith('https:')) throw new OptionError('endpoint', 'a token of Entra goes over https:// alone')
  return { endpoint }
}

function fromConnectionString({ endpoint, account }: Options, text: string): Account {
  const option = 'connection_string'
  if (account !== undefined) throw new OptionError('account', `is part of ${option} already; leave one of the two out`)
  const parts = new Map<string, string>()
  for (const part of text.split(';')) {
    const at = part.indexOf('=')
    if (at > 0) parts.set(part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim())
  }
  const [name, key, sas] = ['accountname', 'accountkey', 'sharedaccesssignature'].map(part => parts.get(part))
  const proto = parts.get('defaultendpointsprotocol') ?? 'https'
  const suffix = parts.get('endpointsuffix') ?? 'core.windows.net'
  const own = endpoint ?? parts.get('blobendpoint') ?? (name && `${proto}://${name}.blob.${suffix}`)
  if (!own) throw new OptionError(option, 'names neither AccountName nor BlobEndpoint')
  const url = endpointOf(own, endpoint === undefined ? option : 'endpoint', endpoint !== undefined)
  if (sas) return { endpoint: url, sas: sasOf(sas, option) }
  if (!name || !key) throw new OptionError(option, 'needs AccountName and AccountKey, or SharedAccessSignature')
  return { endpoint: url, name, key: keyOf(key, option) }
}

/** `shown`: the text is no secret, and may stand in an error. */
function endpointOf(text: string, option: string, shown: boolean): string {
  const url = URL.parse(text)
  const said = shown && option !== 'sas_url' ? `"${text}"` : 'its URL'
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new OptionError(option, `${said} is no URL; write it like https://ACCOUNT.blob.core.windows.net`)
  if (url.username || url.password || url.search || url.hash)
    throw new OptionError(option, `${said} has more than a host, a port and a path`)
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
    throw new OptionError(
      option,
      `${said} begins with http://, and what gives access goes over https:// alone, but to this machine`,
    )
  return url.href.replace(/\/+$/, '')
}

function sasOf(text: string, option: string): string {
  const sas = text.trim().replace(/^\?/, '')
  if (!new URLSearchParams(sas).has('sig')) throw new OptionError(option, 'holds no SAS: there is no sig= in it')
  return sas
}

function keyOf(text: string, option: string): string {
  if (!BASE64.test(text.trim())) throw new OptionError(option, 'is no key of an account: those are base64')
  return text.trim()
}
