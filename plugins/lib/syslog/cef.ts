// Events as CEF: a header of seven parts, and an extension of `key=value` that is made of ECS fields.
import { isIPv6 } from 'node:net'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Event } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { type FieldPath, fieldPath } from '../field-path.ts'
import { millisOf } from '../request/event-time.ts'
import { compile, type Template, type TemplateRules } from '../template.ts'
import { cefSeverity } from './severity.ts'

export interface CefOptions {
  readonly vendor?: string | undefined
  readonly product?: string | undefined
  readonly version?: string | undefined
  readonly signature?: string | undefined
  readonly name?: string | undefined
  readonly severity?: number | undefined
  readonly extension?: Readonly<Record<string, string>> | undefined
}

type Kind = 'text' | 'time' | 'ipv4'

/** Where a key gets its value: the first of these fields that an event has. */
interface Source {
  readonly key: string
  readonly kind?: Kind
  readonly from: readonly string[]
}

/** Names of what stands in the keys that CEF leaves open. */
const LABELS: Readonly<Record<string, string>> = {
  c6a2: 'Source IPv6 Address',
  c6a3: 'Destination IPv6 Address',
  cs1: 'dataset',
  cs2: 'organization',
  cs3: 'subject',
  cs4: 'rule',
}

/** ECS → CEF: the way back of what readers of CEF make of these keys, with the actor of an audit record as its source user. */
const SOURCES: readonly Source[] = [
  { key: 'externalId', from: ['event.id'] },
  { key: 'rt', kind: 'time', from: ['@timestamp'] },
  { key: 'start', kind: 'time', from: ['event.start', '@timestamp'] },
  { key: 'end', kind: 'time', from: ['event.end', '@timestamp'] },
  { key: 'msg', from: ['message'] },
  { key: 'act', from: ['event.action'] },
  { key: 'outcome', from: ['event.outcome'] },
  { key: 'cat', from: ['event.category'] },
  { key: 'reason', from: ['event.reason'] },
  { key: 'suser', from: ['user.email', 'user.name', 'source.user.email', 'source.user.name'] },
  { key: 'suid', from: ['user.id', 'source.user.id'] },
  { key: 'src', kind: 'ipv4', from: ['source.ip'] },
  { key: 'c6a2', from: ['source.ip'] },
  { key: 'spt', from: ['source.port'] },
  { key: 'shost', from: ['source.domain'] },
  { key: 'duser', from: ['user.target.email', 'user.target.name', 'destination.user.email', 'destination.user.name'] },
  { key: 'duid', from: ['user.target.id', 'destination.user.id'] },
  { key: 'dst', kind: 'ipv4', from: ['destination.ip'] },
  { key: 'c6a3', from: ['destination.ip'] },
  { key: 'dpt', from: ['destination.port'] },
  { key: 'dhost', from: ['destination.domain'] },
  { key: 'dvchost', from: ['observer.hostname', 'host.name'] },
  { key: 'destinationServiceName', from: ['destination.service.name', 'event.provider'] },
  { key: 'requestClientApplication', from: ['user_agent.original'] },
  { key: 'request', from: ['url.original', 'url.full'] },
  { key: 'fname', from: ['file.name'] },
  { key: 'filePath', from: ['file.path'] },
  { key: 'fsize', from: ['file.size'] },
  { key: 'fileHash', from: ['file.hash.sha256', 'file.hash.sha1', 'file.hash.md5'] },
  { key: 'cs1', from: ['event.dataset'] },
  { key: 'cs2', from: ['organization.name', 'organization.id'] },
  { key: 'cs3', from: ['email.subject'] },
  { key: 'cs4', from: ['rule.name'] },
]
/** Keys of addresses of IPv6, which the keys of IPv4 must not hold. */
const IPV6_KEYS = new Set(['c6a2', 'c6a3'])

const KEY = /^[A-Za-z0-9_][A-Za-z0-9_.,[\]]*$/
/** The one place that a text consists of, without a format or a default. */
const ONLY_A_FIELD = /^%\{([^:+}][^:}]*)\}$/

const rules: TemplateRules = { code: 'PEN_CEF', prefix: () => undefined, value: () => undefined, rendered: () => undefined }

/** Writes an event as one line of CEF. Throws a PermanentError for a header that an event cannot fill in. */
export function cefWriter(options: CefOptions, option = 'cef'): (event: Event) => string {
  const { vendor = 'Penstock', product = 'Microsoft 365', version = '1' } = options
  const signature = compile(options.signature ?? '%{event.action:-event}', `${option}.signature`, rules)
  const name = compile(options.name ?? '%{event.action:-event}', `${option}.name`, rules)
  const start = `CEF:0|${header(vendor)}|${header(product)}|${header(version)}|`
  const own = options.extension ?? {}
  const parts = [
    ...usual(own),
    ...Object.entries(own).flatMap(([key, text]) => asked(key, text, `${option}.extension["${key}"]`)),
  ]

  return event => {
    const { fields } = event
    let line = `${start}${header(signature.render(fields))}|${header(name.render(fields))}|${options.severity ?? cefSeverity(fields)}|`
    let before = ''
    for (const part of parts) {
      const text = part(event)
      if (text === '') continue
      line += before + text
      before = ' '
    }
    return line
  }
}

/** Gives `key=value`, with its label where it has one, or nothing. */
type Part = (event: Event) => string

/** The keys that are made of ECS fields, without those that the options set. */
function usual(own: Readonly<Record<string, string>>): Part[] {
  return SOURCES.filter(({ key }) => !Object.hasOwn(own, key)).map(({ key, kind = 'text', from }): Part => {
    const paths = from.map(path => fieldPath(path))
    const label = LABELS[key] !== undefined && !Object.hasOwn(own, `${key}Label`) ? `${key}Label=${LABELS[key]} ` : ''
    return event => {
      let value = firstOf(paths, event.fields)
      // An event's id is the record's own where the record has none in its fields.
      if (key === 'externalId') value ??= event.id
      const text = IPV6_KEYS.has(key) ? (typeof value === 'string' && isIPv6(value) ? value : undefined) : textOf(value, kind)
      return text === undefined ? '' : `${label}${key}=${escaped(text)}`
    }
  })
}

function asked(key: string, text: string, option: string): Part[] {
  if (!KEY.test(key)) throw new OptionError(option, `"${key}" is no key of CEF: letters, digits and _`)
  // An empty text leaves the key out.
  if (text === '') return []
  const [, path] = ONLY_A_FIELD.exec(text) ?? []
  if (path !== undefined) {
    const field = fieldPath(path, option)
    return [event => pair(key, textOf(field.get(event.fields), 'text'))]
  }
  const template: Template = compile(text, option, rules)
  const needed = text.includes(':-') ? [] : template.fields.map(name => fieldPath(name))
  // A key whose field an event lacks is left out: no reason to refuse the event.
  return [
    event =>
      pair(
        key,
        needed.some(one => textOf(one.get(event.fields), 'text') === undefined) ? undefined : template.render(event.fields),
      ),
  ]
}

function pair(key: string, text: string | undefined): string {
  return text === undefined || text === '' ? '' : `${key}=${escaped(text)}`
}

function firstOf(paths: readonly FieldPath[], fields: JsonObject): unknown {
  for (const path of paths) {
    const value = path.get(fields)
    if (value !== undefined && value !== null && value !== '') return value
  }
  return undefined
}

function textOf(value: unknown, kind: Kind): string | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (kind === 'time') return millisOf(value)?.toFixed(0)
  if (kind === 'ipv4') return typeof value === 'string' && !value.includes(':') ? value : undefined
  if (Array.isArray(value)) {
    const texts = value.map(one => textOf(one, 'text')).filter(one => one !== undefined)
    return texts.length > 0 ? texts.join(',') : undefined
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Controls that CEF has no escape for would end a line, or a text, for some readers. */
const CONTROLS = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/g

/** What most values lack. */
const TO_ESCAPE = /[\\=\0-\x1f\x7f]|\s$/

/** A value of the extension. */
function escaped(text: string): string {
  if (!TO_ESCAPE.test(text)) return text
  const known = text.replace(/[\\=]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r')
  // What ends in a blank, a reader would cut; what begins with one is kept.
  return known.replace(CONTROLS, ' ').trimEnd()
}

/** A part of the header, which has no newlines. */
function header(text: string): string {
  if (!/[\0-\x1f\x7f\\|]/.test(text)) return text
  return text.replace(/[\0-\x1f\x7f]+/g, ' ').replace(/[\\|]/g, '\\$&')
}
