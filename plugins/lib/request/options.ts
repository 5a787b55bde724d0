// Options that the outputs over HTTP share: how a destination is reached.
import { isIPv4 } from 'node:net'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { OptionSchemas, OptionValues } from '../../../core/plugin/options.ts'
import type { HttpOptions } from '../http/client.ts'
import { checkHost } from '../http/public-only.ts'
import { TLS_OPTIONS, tlsFiles } from '../http/tls.ts'

export const REQUEST_OPTIONS = {
  compression: {
    type: 'string',
    enum: ['none', 'gzip'],
    default: 'none',
    description: 'Packs the bodies of requests; a tenth of the bytes, for as much CPU time again as all the rest takes',
  },
  ...TLS_OPTIONS,
  proxy: { type: 'string', secret: true, description: 'Proxy for every request; without it HTTPS_PROXY and NO_PROXY hold' },
  deny_private: {
    type: 'boolean',
    default: false,
    description:
      'Connects to addresses of the public internet alone: a name that leads to a private, local or link-local address ' +
      '(169.254.169.254) is refused at each connection, and no proxy is used',
  },
  timeout_ms: {
    type: 'integer',
    minimum: 100,
    maximum: 3_600_000,
    default: 60_000,
    description: 'What a request may take until its answer is there in full; then it counts as not answered, and is sent again',
  },
  connect_timeout_ms: {
    type: 'integer',
    minimum: 100,
    maximum: 600_000,
    default: 10_000,
    description: 'What a connection may take',
  },
} as const satisfies OptionSchemas

/** How a destination is reached, as its step's options say. */
export interface Way {
  readonly http: Omit<HttpOptions, 'clock' | 'connections'>
  readonly compress: boolean
  readonly timeoutMs: number
  readonly insecure: boolean
}

/** @throws OptionError */
export function wayOf(options: OptionValues<typeof REQUEST_OPTIONS>): Way {
  const { proxy, deny_private, timeout_ms, connect_timeout_ms, compression, tls_insecure } = options
  if (proxy !== undefined) {
    const url = URL.parse(proxy)
    if (!url || !/^(https?|socks5?):$/.test(url.protocol))
      throw new OptionError('proxy', 'is no URL of a proxy; write it like http://proxy.example:3128')
    if (deny_private)
      throw new OptionError('deny_private', 'cannot hold through a proxy, which looks names up itself; leave one of the two out')
  }
  return {
    http: {
      ...tlsFiles(options),
      proxy,
      publicOnly: deny_private,
      connectMs: connect_timeout_ms,
      // The whole exchange has a limit already.
      silenceMs: timeout_ms,
      http1: true,
    },
    compress: compression === 'gzip',
    timeoutMs: timeout_ms,
    insecure: tls_insecure,
  }
}

/**
 * Checks the URL of a destination: http or https, no user in it, and nothing that a server never sees. What has secrets goes over https,
 * but to this machine.
 * @throws OptionError at `option`
 */
export function checkUrl(text: string, option: string, { http, insecure }: Way, secrets: boolean): URL {
  const url = URL.parse(text)
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:') || !url.hostname)
    throw new OptionError(option, `"${text}" is no URL; write it like https://collector.example/in`)
  if (url.username || url.password)
    throw new OptionError(option, 'must not hold a user or a password; there are options for them, which keep them out of logs')
  if (url.hash) throw new OptionError(option, `"${text}" has a part behind #, which is never sent`)
  if (secrets && isPlain(url) && !insecure)
    throw new OptionError(option, 'secrets go over https:// alone; write https://, or leave the secrets out')
  if (http.publicOnly) {
    try {
      checkHost(url)
    } catch (cause) {
      throw new OptionError(option, (cause as Error).message, { cause })
    }
  }
  return url
}

/** Without TLS, and not to this machine. */
export function isPlain({ protocol, hostname }: URL): boolean {
  const own = hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
  return protocol === 'http:' && !own
}
