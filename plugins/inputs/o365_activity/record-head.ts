// What the input must know of a record before anybody parses it: its id and its time.
import { isObject } from '../../../core/plugin/json.ts'

export interface RecordHead {
  /** The record's `Id`; undefined where it is missing, empty, or no text. */
  readonly id: string | undefined
  /** CreationTime, milliseconds since 1970; NaN where there is none. */
  readonly time: number
}

/** How the records of the feed begin. Whatever begins otherwise is parsed. */
const USUAL = /^\{"CreationTime":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z?","Id":"([\w-]{1,128})"/
const USUAL_BYTES = 200

/** Never throws: a record that is none has no id. */
export function headOf(record: Buffer): RecordHead {
  const [, time, id] = USUAL.exec(record.latin1Slice(0, Math.min(USUAL_BYTES, record.length))) ?? []
  if (time !== undefined) return { id, time: Date.parse(`${time}Z`) }
  let parsed: unknown
  try {
    parsed = JSON.parse(record.toString('utf8'))
  } catch {
    return { id: undefined, time: Number.NaN }
  }
  if (!isObject(parsed)) return { id: undefined, time: Number.NaN }
  const { Id, CreationTime } = parsed
  const text = typeof CreationTime === 'string' ? CreationTime : ''
  // Times without a zone are UTC.
  return {
    id: typeof Id === 'string' && Id !== '' ? Id : undefined,
    time: Date.parse(/Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`),
  }
}
