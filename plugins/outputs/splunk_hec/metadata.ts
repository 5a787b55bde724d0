// What Splunk is told of an event beside it: time, host, source, sourcetype, index and indexed fields.

import type { ByteWriter } from '../../../core/plugin/byte-writer.ts'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Event } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import type { OptionSchemas } from '../../../core/plugin/options.ts'
import { type FieldPath, fieldPath } from '../../lib/field-path.ts'
import { millisOf } from '../../lib/request/event-time.ts'
import { compile, type Template, type TemplateRules } from '../../lib/template.ts'

/** What may be set for all events, and again for those of one data set. */
export const PLACE_OPTIONS = {
  sourcetype: { type: 'string', minLength: 1, description: 'Sourcetype of the events; may hold `%{field}`' },
  index: {
    type: 'string',
    minLength: 1,
    description: "Index of the events, the token's own when it is not set; may hold `%{field}` behind a literal beginning",
  },
  source: {
    type: 'string',
    minLength: 1,
    description: "Source of the events, the token's own when it is not set; may hold `%{field}`",
  },
  host: { type: 'string', minLength: 1, description: "Host of the events, Splunk's own when it is not set; may hold `%{field}`" },
  event_field: {
    type: 'string',
    format: 'field',
    description:
      'Field that is sent as the event, such as event.original or o365.audit; the whole document when it is not set, or empty',
  },
} as const satisfies OptionSchemas

/**
 * What the add-on for Microsoft Office 365 (4055) calls what these data sets hold, so that its searches and those of others find it.
 */
export const SOURCETYPES: Readonly<Record<string, string>> = {
  'o365.audit': 'o365:management:activity',
  'microsoft_exchange_online_message_trace.log': 'o365:graph:messagetrace',
}
/** Of all other data sets: Splunk takes the fields of the JSON document. */
const OTHER = '_json'

interface PlaceOptions {
  readonly sourcetype?: string
  readonly index?: string
  readonly source?: string
  readonly host?: string
  readonly event_field?: string
}

export interface MetadataOptions extends PlaceOptions {
  readonly datasets?: Readonly<Record<string, PlaceOptions>>
  readonly fields?: Readonly<Record<string, string>>
  readonly id_field: string
}

export interface Metadata {
  /** Writes the event with all of it, as HEC takes it. Throws a PermanentError for a place that an event cannot fill in. */
  write(event: Event, to: ByteWriter): void
  /** Events choose the index: one that Splunk refuses is a fault of its event, not of the configuration. */
  readonly eventsChooseIndex: boolean
}

/** The names and texts that HEC has for a place, in the order in which they are written. */
const PLACES = ['host', 'source', 'sourcetype', 'index'] as const

const textRules: TemplateRules = {
  code: 'PEN_METADATA',
  prefix: () => undefined,
  value: value => (/[\0-\x1f\x7f]/.test(value) ? 'has a control character' : undefined),
  rendered: text => (text.length > 1024 ? `is too long: ${text.length} characters, where 1024 are allowed` : undefined),
}

const indexRules: TemplateRules = {
  ...textRules,
  prefix: (literalPrefix, values) =>
    values && !/^[a-z0-9_]/.test(literalPrefix)
      ? 'needs a literal beginning before its first %{…}, such as m365_%{…}: events choose indexes of that beginning only'
      : undefined,
  rendered: text =>
    /^[a-z0-9_][a-z0-9_-]{0,254}$/.test(text) ? undefined : 'is no name of an index: small letters, digits, _ and -',
}

interface Place {
  readonly texts: readonly { readonly name: string; readonly template: Template }[]
  readonly eventField: FieldPath | undefined
}

const DATASET = fieldPath('event.dataset')
const TIME = fieldPath('@timestamp')

/** @throws OptionError */
export function metadata({ datasets = {}, fields = {}, id_field, ...all }: MetadataOptions): Metadata {
  const general = placeOf(all, '', OTHER)
  const places = new Map<string, Place>()
  for (const name of new Set([...Object.keys(SOURCETYPES), ...Object.keys(datasets)])) {
    const own = datasets[name] ?? {}
    // What is set for a data set goes before what is set for all, and that before what the data set is called by default.
    places.set(name, placeOf({ ...all, ...own }, `datasets["${name}"].`, SOURCETYPES[name] ?? OTHER))
  }
  if (Object.hasOwn(fields, id_field))
    throw new OptionError(`fields["${id_field}"]`, `is where the event's id goes; name another field, or another id_field`)
  const indexed = Object.entries(fields).map(([name, text]) => ({
    name,
    template: compile(text, `fields["${name}"]`, textRules),
  }))

  return {
    eventsChooseIndex: [general, ...places.values()].some(({ texts }) =>
      texts.some(({ name, template }) => name === 'index' && template.fields.length > 0),
    ),
    write(event, to) {
      const dataset = DATASET.get(event.fields)
      const place = (typeof dataset === 'string' && places.get(dataset)) || general
      const time = millisOf(TIME.get(event.fields))
      const head: JsonObject = {}
      for (const { name, template } of place.texts) head[name] = template.render(event.fields)
      const told: JsonObject = { [id_field]: event.id }
      for (const { name, template } of indexed) told[name] = template.render(event.fields)
      // Seconds, with milliseconds behind the point: a JSON number of them would lose a last 0, which is the same to Splunk.
      to.text(`{${time === undefined ? '' : `"time":${(time / 1000).toFixed(3)},`}`)
      const texts = JSON.stringify(head).slice(1, -1)
      to.text(`${texts}${texts && ','}"fields":${JSON.stringify(told)},"event":`)
      to.json(bodyOf(event.fields, place.eventField))
      to.text('}\n')
    },
  }
}

function bodyOf(fields: JsonObject, path: FieldPath | undefined): unknown {
  const value = path?.get(fields)
  // HEC refuses an event that is blank; a number or a list is none that Splunk's fields could be read from.
  if (typeof value === 'string' ? value.trim() !== '' : typeof value === 'object' && value !== null && !Array.isArray(value))
    return value
  return fields
}

function placeOf(options: PlaceOptions, at: string, sourcetype: string): Place {
  const given: PlaceOptions = { sourcetype, ...options }
  return {
    texts: PLACES.flatMap(name => {
      const text = given[name]
      return text === undefined ? [] : [{ name, template: compile(text, at + name, name === 'index' ? indexRules : textRules) }]
    }),
    eventField: given.event_field === undefined ? undefined : fieldPath(given.event_field, `${at}event_field`),
  }
}
