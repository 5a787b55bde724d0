// Lines of syslog: the header of RFC 5424 with structured data, or a time alone as some agents write it.
import { hostname as ownName } from 'node:os'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Event } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { fieldPath } from '../field-path.ts'
import { millisOf } from '../request/event-time.ts'
import { compile, type TemplateRules } from '../template.ts'
import { FACILITIES, SEVERITIES, type Severity, syslogSeverity } from './severity.ts'

export interface MessageOptions {
  readonly header: 'rfc5424' | 'time'
  readonly facility: (typeof FACILITIES)[number]
  readonly severity: 'auto' | Severity
  readonly hostname?: string | undefined
  readonly app_name: string
  readonly msgid: string
  readonly structured_data?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined
}

const TIME = fieldPath('@timestamp')
/** What an absent part of the header is written as. */
const NIL = '-'
/** SD-IDs that need no number of an enterprise (RFC 5424, 7). */
const REGISTERED = new Set(['timeQuality', 'origin', 'meta'])
const SD_NAME = /^[!#-<>-\\^-~]{1,32}$/

const rules: TemplateRules = { code: 'PEN_SYSLOG', prefix: () => undefined, value: () => undefined, rendered: () => undefined }

/** What stands before an event's text, with the blank behind it. Throws a PermanentError for an event that lacks a field of a template. */
export function headerWriter(options: MessageOptions): (event: Event) => string {
  const host = options.hostname === undefined ? undefined : compile(options.hostname, 'hostname', rules)
  if (options.header === 'time') {
    if (options.structured_data) throw new OptionError('structured_data', 'is a part of header: rfc5424, and of no other')
    return ({ fields }) => {
      const name = host ? printable(host.render(fields), 255) : NIL
      return `${timeOf(fields, new Date(0).toISOString())} ${name === NIL ? '' : `${name} `}`
    }
  }
  const facility = FACILITIES.indexOf(options.facility) * 8
  const fixed = options.severity === 'auto' ? undefined : SEVERITIES.indexOf(options.severity)
  const own = printable(ownName(), 255)
  const app = compile(options.app_name, 'app_name', rules)
  const msgid = compile(options.msgid, 'msgid', rules)
  const data = structuredData(options.structured_data ?? {})
  return ({ fields }) => {
    const priority = facility + (fixed ?? syslogSeverity(fields))
    const name = host ? printable(host.render(fields), 255) : own
    const parts = [name, printable(app.render(fields), 48), NIL, printable(msgid.render(fields), 32), data(fields)]
    return `<${priority}>1 ${timeOf(fields, NIL)} ${parts.join(' ')} `
  }
}

/** What a time looks like that needs no writing anew. */
const WRITTEN = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

function timeOf(fields: JsonObject, none: string): string {
  const value = TIME.get(fields)
  const millis = millisOf(value)
  // Four digits of a year are all that the format has.
  if (millis === undefined || millis < -62_135_596_800_000 || millis > 253_402_300_799_999) return none
  return typeof value === 'string' && WRITTEN.test(value) ? value : new Date(millis).toISOString()
}

/** A part of the header: printable ASCII without blanks, cut to its length. */
function printable(text: string, longest: number): string {
  const plain = text.slice(0, longest).replace(/[^!-~]/g, '_')
  return plain === '' ? NIL : plain
}

function structuredData(elements: NonNullable<MessageOptions['structured_data']>): (fields: JsonObject) => string {
  const compiled = Object.entries(elements).map(([id, params]) => {
    const option = `structured_data["${id}"]`
    if (!SD_NAME.test(id))
      throw new OptionError(option, `"${id}" is no name: up to 32 characters of ASCII without blank, =, ] and "`)
    if (!/@\d+(\.\d+)*$/.test(id) && !REGISTERED.has(id))
      throw new OptionError(option, `"${id}" needs the number of an enterprise, as in ${id}@32473 (RFC 5424, 7.2.2)`)
    return {
      id,
      params: Object.entries(params).map(([name, text]) => {
        if (!SD_NAME.test(name)) throw new OptionError(`${option}["${name}"]`, `"${name}" is no name of a parameter`)
        return { name, template: compile(text, `${option}["${name}"]`, rules) }
      }),
    }
  })
  return fields => {
    let text = ''
    for (const { id, params } of compiled) {
      let inside = ''
      for (const { name, template } of params) {
        const value = template.render(fields)
        // An empty default leaves the parameter out.
        if (value !== '') inside += ` ${name}="${value.replace(/[\0-\x1f\x7f]/g, ' ').replace(/["\\\]]/g, '\\$&')}"`
      }
      if (inside !== '') text += `[${id}${inside}]`
    }
    return text === '' ? NIL : text
  }
}
