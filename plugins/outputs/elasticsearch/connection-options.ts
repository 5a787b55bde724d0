// Options that say where Elasticsearch is and who asks: the same for the output and the commands.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Site } from '../../../core/plugin/interfaces.ts'
import type { OptionSchemas, OptionValues } from '../../../core/plugin/options.ts'
import { TLS_OPTIONS, type TlsFiles, tlsFiles } from '../../lib/http/tls.ts'

export const CONNECTION = {
  hosts: {
    type: 'array',
    items: { type: 'string' },
    description: 'URLs of the nodes, as in https://es1.example:9200; requests take turns, and a node that is down is passed over',
  },
  cloud_id: { type: 'string', description: 'The Cloud ID of a deployment in Elastic Cloud, in the place of hosts' },
  api_key: {
    type: 'string',
    secret: true,
    description: 'API key as Elasticsearch gives it (encoded), or as id:key. Read again when its file changes',
  },
  username: { type: 'string', description: 'User, where there is no API key' },
  password: { type: 'string', secret: true, description: 'Password of the user. Read again when its file changes' },
  ...TLS_OPTIONS,
  proxy: { type: 'string', description: 'URL of an HTTP proxy on the way to the nodes' },
  timeout_ms: {
    type: 'integer',
    minimum: 1_000,
    maximum: 3_600_000,
    default: 60_000,
    description: 'A request without an answer for so long is sent again',
  },
} as const satisfies OptionSchemas

export type ConnectionOptions = OptionValues<typeof CONNECTION>

/** Where to send requests, and with which secrets. */
export interface Target {
  /** URLs without user and path. */
  readonly nodes: readonly string[]
  readonly auth: Auth | undefined
  readonly tls: TlsFiles
  readonly proxy: string | undefined
  readonly timeoutMs: number
}

/** `file`: where the secret was read from. */
export type Auth =
  | { readonly kind: 'api_key'; readonly secret: string; readonly file: string | undefined }
  | { readonly kind: 'basic'; readonly user: string; readonly secret: string; readonly file: string | undefined }

/** @throws OptionError */
export function targetOf(options: ConnectionOptions, site: Pick<Site, 'secretFile'>): Target {
  const { hosts, cloud_id, proxy, tls_insecure, timeout_ms } = options
  if ((hosts === undefined) === (cloud_id === undefined))
    throw new OptionError(hosts ? 'cloud_id' : '', 'give either hosts or cloud_id')
  if (hosts?.length === 0) throw new OptionError('hosts', 'names no host; write it like https://es.example:9200')
  const nodes = hosts ? hosts.map((host, index) => nodeOf(host, `hosts[${index}]`)) : [cloudNode(cloud_id as string)]
  const auth = authOf(options, site)
  if (auth && !tls_insecure && nodes.some(node => node.startsWith('http://') && !isLoopback(node)))
    throw new OptionError('hosts', 'secrets go over https:// alone; write https://, or leave api_key and password out')
  return { nodes, auth, tls: tlsFiles(options), proxy, timeoutMs: timeout_ms }
}

function authOf({ api_key, username, password }: ConnectionOptions, site: Pick<Site, 'secretFile'>): Auth | undefined {
  if (api_key !== undefined && (username !== undefined || password !== undefined))
    throw new OptionError('api_key', 'give either api_key, or username and password')
  if (api_key !== undefined) return { kind: 'api_key', secret: api_key, file: site.secretFile(api_key) }
  if (username === undefined && password === undefined) return undefined
  if (username === undefined || password === undefined)
    throw new OptionError(username === undefined ? 'password' : 'username', 'username and password belong together')
  return { kind: 'basic', user: username, secret: password, file: site.secretFile(password) }
}

function nodeOf(text: string, option: string): string {
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new OptionError(option, `"${text}" is no URL; write it like https://es.example:9200`)
  if (url.username || url.password)
    throw new OptionError(option, 'must not hold a user or a password; there are options for them, which keep them out of logs')
  if (url.search || url.hash) throw new OptionError(option, `"${text}" has more than a host, a port and a path`)
  return url.href
}

/** `NAME:BASE64`, which is `HOST[:PORT]$ELASTICSEARCH[$KIBANA]`. */
function cloudNode(id: string): string {
  const text = Buffer.from(id.slice(id.lastIndexOf(':') + 1), 'base64').toString('utf8')
  const [place = '', elasticsearch = ''] = text.split('$')
  const [host, port = '443'] = place.split(':')
  const [name, ownPort = port] = elasticsearch.split(':')
  const url = URL.parse(`https://${name}.${host}:${ownPort}`)
  if (!url || !name || !host || !/^[\w.-]+$/.test(host))
    throw new OptionError('cloud_id', 'is no Cloud ID: copy it from the deployment')
  return url.href
}

function isLoopback(node: string): boolean {
  const { hostname } = new URL(node)
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
}
