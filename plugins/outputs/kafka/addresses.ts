// Where an event goes: its topic, and the key and headers of its message.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Address } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { fieldPath } from '../../lib/field-path.ts'
import { compile } from '../../lib/template.ts'
import { HEADER_RULES, KEY_RULES, TOPIC_RULES } from './topic-rules.ts'

export interface AddressOptions {
  readonly topic: string
  readonly key?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** Addresses that are kept as objects; more are forgotten all at once. */
const REMEMBERED = 1024

/** Gives the address of an event. Throws a PermanentError where its values make none. @throws OptionError */
export function addressesOf({ topic, key, headers = {} }: AddressOptions): (fields: JsonObject) => Address {
  const to = compile(topic, 'topic', TOPIC_RULES)
  // A text without places is checked here, as it stands.
  const refused = to.fields.length === 0 ? TOPIC_RULES.rendered(topic, topic) : undefined
  if (refused) throw new OptionError('topic', `"${topic}" ${refused}`)
  const keyOf = key === undefined ? undefined : keys(key)
  const named = Object.entries(headers).map(([name, text]) => {
    const option = `headers.${name}`
    if (name === '' || /[\0-\x1f\x7f]/.test(name) || name === '__proto__')
      throw new OptionError('headers', `${JSON.stringify(name)} is no name of a header`)
    const template = compile(text, option, HEADER_RULES)
    const wrong = template.fields.length === 0 ? HEADER_RULES.rendered(text, text) : undefined
    if (wrong) throw new OptionError(option, `${JSON.stringify(text)} ${wrong}`)
    return [name, template] as const
  })
  const fixed = named.every(([, template]) => template.fields.length === 0)
    ? Object.fromEntries(named.map(([name, template]) => [name, template.text]))
    : undefined

  const known = new Map<string, Address>()
  const shared = (topic: string, headers: Readonly<Record<string, string>>): Address => {
    let found = known.get(topic)
    if (!found) {
      if (known.size >= REMEMBERED) known.clear()
      found = { to: topic, headers }
      known.set(topic, found)
    }
    return found
  }

  return fields => {
    const topic = to.render(fields)
    const key = keyOf?.(fields)
    if (key === undefined && fixed) return shared(topic, fixed)
    const own = fixed ?? Object.fromEntries(named.map(([name, template]) => [name, template.render(fields)]))
    return { to: topic, headers: own, ...(key !== undefined && { key }) }
  }
}

/** A field, whose absence leaves a message without a key; or a template, which says by itself what becomes of that. */
function keys(key: string): (fields: JsonObject) => string | undefined {
  if (key.includes('%{')) {
    const template = compile(key, 'key', KEY_RULES)
    return fields => template.render(fields)
  }
  const field = fieldPath(key, 'key')
  return fields => {
    let value = field.get(fields)
    if (Array.isArray(value) && value.length <= 1) value = value[0]
    if (value === undefined || value === null || value === '') return undefined
    return typeof value === 'object' ? JSON.stringify(value) : String(value)
  }
}
