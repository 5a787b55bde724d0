// Holds what came out of a pipeline against what the simulator holds: record by record, by their Ids, and by their bytes without one.
import { isObject, type JsonObject } from '../../../../../core/plugin/json.ts'
import { withoutMatchedValues } from '../../matched-values.ts'
import { CONTENT_TYPES } from '../../service/content-types.ts'
import { contentHash, traceOf } from '../records.ts'
import type { Simulator } from '../simulator.ts'

export interface Comparison {
  readonly types: readonly TypeComparison[]
  /** Records that came and that the simulator does not know. */
  readonly invented: number
  /** What some of the lost and of the invented are called. */
  readonly examples: { readonly lost: readonly string[]; readonly invented: readonly string[] }
}

export interface TypeComparison {
  readonly contentType: string
  /** False: nobody asked for it. */
  readonly asked: boolean
  /** Blobs, and different records in them, that had to come. */
  readonly blobs: number
  readonly records: number
  /** Blobs that were listed and are not to be had. */
  readonly missing: number
  /** How many records came at least once, those too that did not have to. */
  readonly came: number
  readonly lost: number
  /** How often one came again. */
  readonly repeated: number
}

/** Of each record in one number: its content type, whether it had to come, and how often it came. */
const TYPE = 7
const MUST = 8
const ONCE = 16
const EXAMPLES = 3

/**
 * Compares everything that was made before `until` (milliseconds since 1970), and not before the time from which the feed was asked
 * for, with `lines`: records, or ECS documents made of them.
 */
export async function compare(simulator: Simulator, until: number, lines: AsyncIterable<string>): Promise<Comparison> {
  const known = new Map<string, number>()
  /** Ids that two records have which do not say the same → what came under them. */
  const shared = new Map<string, Set<string>>()
  const totals = CONTENT_TYPES.map(contentType => ({
    contentType,
    asked: false,
    blobs: 0,
    records: 0,
    missing: 0,
    came: 0,
    lost: 0,
    repeated: 0,
  }))
  const end = simulator.now()

  for (const content of simulator.contents) {
    for (const blob of content.all(end)) {
      const from = simulator.feed.askedFrom(content.tenant.id, blob.contentType)
      const type = CONTENT_TYPES.indexOf(blob.contentType)
      const total = totals[type] as (typeof totals)[number]
      if (from === undefined) continue
      total.asked = true
      const inTime = blob.created >= from && blob.created < until && blob.visible <= until
      if (inTime && blob.missing) total.missing++
      else if (inTime) total.blobs++
      if (blob.missing) continue
      const must = !inTime ? 0 : until < blob.grown ? blob.early : blob.count
      content.records(blob, end).forEach((record, at) => {
        const key = keyOf(record)
        known.set(key, type | (known.get(key) ?? 0) | (at < must ? MUST : 0))
        if (blob.odd?.oddity === 'same_id' && blob.odd.at === at && at < must) shared.set(key, new Set())
      })
    }
  }

  let invented = 0
  const examples = { lost: [] as string[], invented: [] as string[] }
  const example = (list: string[], key: string) => list.length < EXAMPLES && list.push(key)
  for await (const line of lines) {
    const id = idIn(line)
    const key = id !== undefined && (known.has(id) || id !== '') ? id : contentHash(line)
    const value = known.get(key)
    if (value === undefined) {
      invented++
      example(examples.invented, key)
      continue
    }
    known.set(key, value + ONCE)
    shared.get(key)?.add(contentHash(line))
  }

  for (const [key, value] of known) {
    const total = totals[value & TYPE] as (typeof totals)[number]
    const times = Math.floor(value / ONCE)
    const wanted = shared.has(key) ? 2 : 1
    const different = shared.get(key)?.size ?? Math.min(1, times)
    if (value & MUST) total.records += wanted
    total.came += different
    total.repeated += times - different
    if (!(value & MUST) || different >= wanted) continue
    total.lost += wanted - different
    example(examples.lost, key)
  }
  return { types: totals, invented, examples }
}

/** What a record is known by where it comes out: its Id, or a hash of its bytes, which matched values are not part of any more. */
function keyOf(record: JsonObject): string {
  const { id } = traceOf(record)
  if (id) return id
  const bytes = Buffer.from(JSON.stringify(record))
  return contentHash(withoutMatchedValues(bytes) ?? bytes)
}

/** The Id of a record, or of the ECS document made of it. */
function idIn(line: string): string | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (!isObject(value)) return undefined
    const { Id, event } = value
    const id = isObject(event) ? event['id'] : Id
    return typeof id === 'string' ? id : undefined
  } catch {
    return undefined
  }
}
