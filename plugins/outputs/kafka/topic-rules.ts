// What event values may do to topics and headers: choose among names that begin as the template does, and nothing else.
import type { TemplateRules } from '../../lib/template.ts'

/** Characters that Kafka takes for a topic. */
const NAME_LENGTH = 249
const NEVER = /[^A-Za-z0-9._-]/
const CONTROL = /[\0-\x1f\x7f]/

export const TOPIC_RULES: TemplateRules = {
  code: 'PEN_TOPIC',
  prefix(literalPrefix, values) {
    return values && literalPrefix === ''
      ? 'needs literal text before its first %{…}, such as m365-%{event.dataset}: events choose topics that begin with it only'
      : undefined
  },
  value(value) {
    return value === '' ? 'is empty' : undefined
  },
  rendered(text) {
    const odd = NEVER.exec(text)
    if (odd) return `is no name of a topic: it holds ${JSON.stringify(odd[0])}, and letters, digits, ".", "_" and "-" are allowed`
    if (text === '' || text === '.' || text === '..') return 'is no name of a topic'
    if (text.length > NAME_LENGTH)
      return `is no name of a topic: it has ${text.length} characters, and ${NAME_LENGTH} are allowed`
    return undefined
  },
}

/** Keys are bytes to Kafka: anything goes. */
export const KEY_RULES: TemplateRules = {
  code: 'PEN_KEY',
  prefix: () => undefined,
  value: () => undefined,
  rendered: () => undefined,
}

/** Many consumers put headers into logs and into headers of HTTP. */
export const HEADER_RULES: TemplateRules = {
  code: 'PEN_HEADER',
  prefix: literalPrefix => (CONTROL.test(literalPrefix) ? 'holds a newline or another control character' : undefined),
  value: value => (CONTROL.test(value) ? 'holds a newline or another control character' : undefined),
  rendered: text => (CONTROL.test(text) ? 'holds a newline or another control character' : undefined),
}
