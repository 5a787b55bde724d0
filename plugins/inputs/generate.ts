// Makes up audit records of fictional tenants: the same ones for the same options, wherever and whenever it runs.
import { hash } from 'node:crypto'
import { CHUNK_BYTES } from '../../core/plugin/buffers.ts'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import { defineInput } from '../../core/plugin/define.ts'
import { OptionError } from '../../core/plugin/errors.ts'
import type { Chunk, Clock, Context, Fault } from '../../core/plugin/interfaces.ts'
import { isObject, type Json, type JsonObject } from '../../core/plugin/json.ts'
import { Draw, STREAM } from '../lib/microsoft/tenant/draw.ts'
import { makeFeed, RECORD_TYPES } from '../lib/microsoft/tenant/feed.ts'
import { makeWorld } from '../lib/microsoft/tenant/world.ts'

/** Chunks of a paced input are this far apart at least: a wake-up for each event would cost more than the event. */
const TICK_MS = 100
/** How far back a repeated record lies at most. */
const REPEAT_REACH = 1000

export default defineInput({
  summary: 'Makes up realistic Microsoft 365 audit records, the same ones for the same seed',
  description: `For trying things out, for load tests and for demonstrations: no account is needed, and no record is about anybody.
Record number *n* depends on the options and *n* alone; with other options it is another record, of the same people. What is stored is
how many records were made, so that a run that was stopped goes on where it was; with a larger \`count\` it makes the rest. When an
option that changes the records is changed (\`seed\`, \`tenants\`, \`users\`, \`record_types\`, \`start\`, \`duplicates\`), it begins again
with the first record, and says so in the log.

The records are JSON, one a line: leave the codec as it is. Their times follow working weeks from \`start\` on and have nothing to do
with \`rate\`: a person causes about 470 records a week.`,
  options: {
    count: { type: 'integer', minimum: 0, description: 'How many records to make; without it there is no end' },
    rate: { type: 'number', minimum: 0.001, description: 'Records a second; without it, as many as the pipeline takes' },
    seed: { type: 'integer', default: 1, minimum: 0, maximum: 4_294_967_295, description: 'Other seeds give other records' },
    tenants: {
      type: 'integer',
      default: 1,
      minimum: 1,
      maximum: 100,
      description: 'How many tenants the records are of: contoso.example, fabrikam.example and so on',
    },
    users: { type: 'integer', default: 500, minimum: 1, maximum: 100_000, description: 'How many people each tenant has' },
    record_types: {
      type: 'array',
      items: { type: 'integer' },
      minItems: 1,
      description: 'Only records of these types (numbers), in their usual proportions to each other',
    },
    start: {
      type: 'string',
      default: '2026-05-04T00:00:00Z',
      description: 'When the first record happens: a UTC date, or date and time',
    },
    duplicates: {
      type: 'number',
      default: 0,
      minimum: 0,
      maximum: 1,
      description: 'Share of the records that repeat one of the 1,000 before them, as the services do now and then',
    },
  },
  examples: [{ count: 1000 }, { rate: 50, seed: 7, users: 20, record_types: [15, 50], duplicates: 0.02 }],
  create({ count = Number.POSITIVE_INFINITY, rate, seed, tenants, users, record_types: types, start, duplicates }) {
    const from = parseStart(start)
    for (const [index, type] of (types ?? []).entries()) {
      if (!RECORD_TYPES.includes(type)) {
        throw new OptionError(
          `record_types[${index}]`,
          `records of type ${type} cannot be made; choose from ${RECORD_TYPES.join(', ')}`,
        )
      }
    }
    /** What the records depend on: a stored position is good for these alone. */
    const made = JSON.stringify([
      seed,
      tenants,
      users,
      types ? [...new Set(types)].sort((a, b) => a - b) : null,
      from,
      duplicates,
    ])
    /** Records made with other options have other ids: as repeats of these, a dedupe filter would swallow them. */
    const salt = Number.parseInt(hash('sha256', made).slice(0, 8), 16)
    let context: Context

    return {
      open(given) {
        context = given
      },
      async *read(positions, signal) {
        const stored = positions.get('')
        if (isObject(stored) && stored['made'] !== made) {
          context.log.warn(
            { made: Number(stored['next']) },
            'the options that records depend on were changed: beginning again with the first record',
          )
        }
        let { next, bytes } = resume(stored, made)
        const feed = makeFeed(makeWorld({ seed, salt, tenants, users, start: from }), types)
        const record = (index: number) => feed(repeats(seed, index, duplicates) ?? index)
        const allowance = rate === undefined ? undefined : pace(rate, context.clock)
        while (next < count && !signal.aborted) {
          const most = allowance ? await allowance.wait(signal) : Number.POSITIVE_INFINITY
          const { chunk, records } = fill(record, next, Math.min(most, count - next), bytes, context.maxEventBytes)
          allowance?.spend(records)
          next += records
          bytes += chunk.bytes.length
          yield { ...chunk, position: { next, bytes, made } }
        }
      },
    }
  },
})

/** Milliseconds since 1970. A time without a zone is UTC, as everywhere in these records. */
function parseStart(text: string): number {
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z?)?$/.test(text)
    ? Date.parse(text.length === 10 || text.endsWith('Z') ? text : `${text}Z`)
    : Number.NaN
  if (Number.isNaN(time)) throw new OptionError('start', `"${text}" is no time; write it like 2026-05-04 or 2026-05-04T08:00:00Z`)
  return time
}

/** How many records were made, and of how many bytes. */
function resume(stored: Json | undefined, made: string): { next: number; bytes: number } {
  if (isObject(stored) && stored['made'] === made) return { next: Number(stored['next']), bytes: Number(stored['bytes']) }
  return { next: 0, bytes: 0 }
}

/** The index of the earlier record that stands in this one's place, now and then. */
function repeats(seed: number, index: number, share: number): number | undefined {
  if (share === 0 || index === 0) return undefined
  const draw = new Draw(seed, STREAM.quirk, index)
  return draw.chance(share) ? index - 1 - draw.below(Math.min(index, REPEAT_REACH)) : undefined
}

/** Records from `next` on, until the chunk is full or there are `most`. A record that is too long becomes a fault. */
function fill(
  record: (index: number) => JsonObject,
  next: number,
  most: number,
  offset: number,
  maxBytes: number,
): { chunk: Chunk; records: number } {
  const writer = new ByteWriter()
  const starts: number[] = []
  const ends: number[] = []
  const faults: Fault[] = []
  let records = 0
  while (records < most && writer.length < CHUNK_BYTES) {
    const from = writer.length
    const text = JSON.stringify(record(next + records++))
    writer.text(text)
    const length = writer.length - from
    if (length > maxBytes) {
      const reason = `the record has ${length} bytes, more than max_event_bytes (${maxBytes})`
      faults.push({
        reason,
        code: 'PEN_TOO_LONG',
        bytes: Buffer.from(text),
        offset: offset + from,
        length,
      })
    } else {
      starts.push(from)
      ends.push(writer.length)
    }
    writer.byte(10)
  }
  const bytes = writer.finish()
  return { chunk: { bytes, starts: Uint32Array.from(starts), ends: Uint32Array.from(ends), offset, faults }, records }
}

/** Lets through `rate` records a second on average; what a busy pipeline did not take is made up for. */
function pace(rate: number, clock: Clock): { wait(signal: AbortSignal): Promise<number>; spend(records: number): void } {
  const begun = clock.monotonic()
  let spent = 0
  return {
    async wait(signal) {
      for (;;) {
        const elapsed = clock.monotonic() - begun
        const due = Math.floor((elapsed * rate) / 1000) + 1 - spent
        if (due > 0) return due
        await clock.sleep(Math.max(TICK_MS, Math.ceil((spent / rate) * 1000 - elapsed)), signal)
      }
    },
    spend(records) {
      spent += records
    },
  }
}
