// The bodies of requests: events in a frame of literal text.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Item } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { slicesOf } from '../../lib/slices.ts'

export const FORMATS = ['ndjson', 'json', 'each'] as const

export interface BodyOptions {
  readonly format: (typeof FORMATS)[number]
  readonly template?: JsonObject
  readonly prefix?: string
  readonly separator?: string
  readonly suffix?: string
}

export interface BodyFrame {
  readonly contentType: string
  /** A request holds one event. */
  readonly single: boolean
  /** What `encode` writes behind every event, so that neighbours in one buffer are sent as they lie there. */
  readonly separator: string
  /** The body with these events. */
  of(items: readonly Item[]): Uint8Array[]
}

interface Frame {
  readonly prefix: string
  readonly separator: string
  readonly suffix: string
}

const FRAMES: Readonly<Record<BodyOptions['format'], Frame>> = {
  // The newline behind the last event is part of NDJSON.
  ndjson: { prefix: '', separator: '\n', suffix: '\n' },
  json: { prefix: '[', separator: ',', suffix: ']' },
  each: { prefix: '', separator: '', suffix: '' },
}
/** Where a template has the events: the list of them, or with `each` the one. */
const PLACE = { ndjson: undefined, json: '"%{events}"', each: '"%{event}"' } as const

/** @throws OptionError */
export function bodyFrame(options: BodyOptions): BodyFrame {
  const { format } = options
  if (format === 'each' && options.separator !== undefined)
    throw new OptionError('separator', 'stands between events, and with format: each a request has one')
  const frame = { ...FRAMES[format], ...own(options), ...inTemplate(options) }
  const prefix = Buffer.from(frame.prefix)
  const suffix = Buffer.from(frame.suffix)
  const cut = Buffer.byteLength(frame.separator)
  return {
    contentType: format === 'ndjson' ? 'application/x-ndjson' : 'application/json',
    single: format === 'each',
    separator: frame.separator,
    of(items) {
      const slices = slicesOf(items)
      const last = slices.pop()
      // Every event has its separator behind it, and the last one none.
      return [prefix, ...slices, ...(last ? [last.subarray(0, last.byteLength - cut)] : []), suffix]
    },
  }
}

function own({ prefix, separator, suffix }: BodyOptions): Partial<Frame> {
  return {
    ...(prefix !== undefined && { prefix }),
    ...(separator !== undefined && { separator }),
    ...(suffix !== undefined && { suffix }),
  }
}

function inTemplate({ format, template, prefix, separator, suffix }: BodyOptions): Partial<Frame> {
  if (template === undefined) return {}
  if ((prefix ?? separator ?? suffix) !== undefined)
    throw new OptionError(
      'template',
      'says what stands around the events, and so do prefix, separator and suffix; give one of the two',
    )
  const place = PLACE[format]
  if (place === undefined) throw new OptionError('template', 'is JSON, and ndjson is lines; set format to json or each')
  const [before, after, ...others] = JSON.stringify(template).split(place)
  if (before === undefined || after === undefined || others.length > 0)
    throw new OptionError(
      'template',
      `must hold ${place} as a value, exactly once: that is where ${format === 'each' ? 'the event goes' : 'the events go'}`,
    )
  const list = FRAMES[format]
  return { prefix: before + list.prefix, suffix: list.suffix + after }
}
