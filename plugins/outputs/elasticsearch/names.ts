// What index and data stream names may be: Elasticsearch's rules, checked before anything is sent.
import type { TemplateRules } from '../../lib/template.ts'

/** Bytes of a name that Elasticsearch takes. */
const NAME_BYTES = 255
const NEVER = /[\\/*?"<>| ,#:\0-\x1f\x7f]/

/** Rules for a template: events fill in parts of a name behind its literal beginning, which keeps them out of everybody else's indices. */
export const INDEX_RULES: TemplateRules = {
  code: 'PEN_INDEX',
  prefix(literalPrefix, values) {
    if (!values) return undefined
    if (/^[-_+.]/.test(literalPrefix)) return 'must not begin with -, _, + or . : such names are for Elasticsearch itself'
    return literalPrefix === ''
      ? 'needs literal text before its first %{…}, such as logs-%{event.dataset}: events choose names that begin with it only'
      : undefined
  },
  value(value) {
    return value === '' ? 'is empty' : undefined
  },
  rendered(text) {
    const odd = NEVER.exec(text)
    if (odd) return `is no name of an index: it holds ${JSON.stringify(odd[0])}`
    if (text !== text.toLowerCase()) return 'is no name of an index: it must be in lower case'
    if (/^[-_+]/.test(text) || text === '' || text === '.' || text === '..') return 'is no name of an index'
    if (!text.isWellFormed()) return 'is no name of an index: it holds half a character (a lone surrogate)'
    if (Buffer.byteLength(text) > NAME_BYTES)
      return `is no name of an index: it has ${Buffer.byteLength(text)} bytes, and ${NAME_BYTES} are allowed`
    return undefined
  },
}

/** Rules for the data set in `logs-<dataset>-<namespace>`: a hyphen in it would be read as the end of it. */
export const STREAM_RULES: TemplateRules = {
  ...INDEX_RULES,
  value(value, literalPrefix) {
    if (value.includes('-')) return `must not hold a hyphen: data streams are called ${literalPrefix}<dataset>-<namespace>`
    return INDEX_RULES.value(value, literalPrefix)
  },
}
