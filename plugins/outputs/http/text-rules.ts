// What event values may do in a URL and in a header: fill in one name, and never choose the host, another path, or another header.
import type { TemplateRules } from '../../lib/template.ts'

/** A scheme and a host, closed by a slash: nothing that follows can lengthen the host. */
const WITH_HOST = /^https?:\/\/[^/?#\\\s]+\//i
/** What ends a part of a URL, or means something else when it is decoded. */
const NO_NAME = /[\0-\x20\x7f\\/?#%&+]/
const NO_HEADER = /[^\t\x20-\x7e]/

export const urlRules: TemplateRules = {
  code: 'PEN_URL',
  prefix(literalPrefix, values) {
    return values && !WITH_HOST.test(literalPrefix)
      ? 'needs the scheme, the host and a slash before its first %{…}, such as https://collector.example/%{…}: events never choose the host'
      : undefined
  },
  value(value) {
    const odd = NO_NAME.exec(value)
    if (odd) return `has ${JSON.stringify(odd[0])}, which would lead to another place`
    return value.isWellFormed() ? undefined : 'holds half a character (a lone surrogate)'
  },
  rendered(text, literalPrefix) {
    const [literal, url] = [URL.parse(literalPrefix), URL.parse(text)]
    if (!WITH_HOST.test(literalPrefix) || !literal || literal.origin !== url?.origin) return 'leads to another host than it says'
    const path = text.slice(0, text.search(/[?#]|$/))
    return path.split('/').some(name => name === '.' || name === '..')
      ? 'leads to another path: "." and ".." are no names'
      : undefined
  },
}

export const headerRules: TemplateRules = {
  code: 'PEN_HEADER',
  prefix: literalPrefix => unfit(literalPrefix),
  value: value => unfit(value),
  rendered: text => unfit(text),
}

function unfit(text: string): string | undefined {
  const odd = NO_HEADER.exec(text)
  return odd ? `has ${JSON.stringify(odd[0])}, which a header must not hold` : undefined
}
