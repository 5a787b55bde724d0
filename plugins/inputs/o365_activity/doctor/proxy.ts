// Which proxy a request goes through: the option, else HTTPS_PROXY or HTTP_PROXY, and none for hosts that NO_PROXY names. As undici does.

export interface Way {
  /** Host and port of the proxy, without the name and password that its URL may have; undefined: none. */
  readonly proxy: string | undefined
  /** Where that is said: `proxy`, `HTTPS_PROXY`, `NO_PROXY`; undefined where nothing is. */
  readonly by: string | undefined
}

/** @param configured The option `proxy`. */
export function wayTo(url: URL, configured: string | undefined, env: NodeJS.ProcessEnv = process.env): Way {
  const [by, proxy] =
    configured !== undefined
      ? (['the option proxy', configured] as const)
      : (firstOf(env, ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY']) ?? [])
  if (!proxy) return { proxy: undefined, by: undefined }
  const [name, list] = firstOf(env, ['no_proxy', 'NO_PROXY']) ?? []
  if (list?.split(/[\s,]+/).some(entry => names(entry, url))) return { proxy: undefined, by: name }
  return { proxy: URL.parse(proxy)?.host || 'a proxy whose URL cannot be read', by }
}

function firstOf(env: NodeJS.ProcessEnv, names: readonly string[]): readonly [name: string, value: string] | undefined {
  for (const name of names) {
    const value = env[name]
    // One that is set and empty hides those that come after it.
    if (value !== undefined) return value === '' ? undefined : [name, value]
  }
  return undefined
}

/** `example.com`, `.example.com`, `*.example.com` (only what is below it), `*`; each may end in a port. */
function names(entry: string, { hostname, port }: URL): boolean {
  const [, name = '', only] = /^(\*|\[.+\]|[^:]+|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? []
  if (name === '' || (only !== undefined && only !== (port || '443'))) return false
  if (name === '*') return true
  const host = bare(hostname)
  const own = bare(name.replace(/^\*?\./, ''))
  return host.endsWith(`.${own}`) || (host === own && !name.startsWith('*'))
}

function bare(name: string): string {
  return name
    .toLowerCase()
    .replace(/^\[(.+)\]$/, '$1')
    .replace(/\.$/, '')
}
