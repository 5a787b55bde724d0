// The blobs of one slot of time: how its records are shared out among them, and what is odd about each.
import { CONTENT_TYPES, type ContentType } from '../service/content-types.ts'
import { Draw, STREAM } from '../tenant/draw.ts'
import type { Blob, ContentOptions } from './content.ts'
import type { RecordOddity } from './records.ts'
import type { Slots } from './slots.ts'

const HOUR_MS = 3_600_000
/** How much later than it was made a late blob is listed. */
export const LATE_MS = 10 * HOUR_MS
const GROWS_MS = HOUR_MS / 2
/** So many records of the blob before lie in a blob that repeats. */
const REPEATED = 3

/** A function that makes the blobs of a slot, by the number of their content type. */
export function slotBlobs(options: ContentOptions, slots: Slots): (slot: number) => readonly (readonly Blob[])[] {
  const { start, slotMs, blobRecords } = options
  return slot =>
    CONTENT_TYPES.map(contentType => {
      const count = slots.count(slot, contentType)
      const blobs: Blob[] = []
      for (let from = 0, part = 0; from < count; from += blobRecords, part++)
        blobs.push(...oneAndOthers({ slot, part, contentType, from, to: Math.min(from + blobRecords, count) }))
      return blobs
    })

  function oneAndOthers(place: {
    readonly slot: number
    readonly part: number
    readonly contentType: ContentType
    readonly from: number
    readonly to: number
  }): Blob[] {
    const { slot, part, contentType, from, to } = place
    const { seed, number, delayMs, expiryMs, quirks } = options
    const kind = CONTENT_TYPES.indexOf(contentType)
    const draw = new Draw(seed ^ (number + 1), STREAM.quirk, (slot * 64 + part) * CONTENT_TYPES.length + kind)
    const created = start + (slot + 1) * slotMs + draw.below(2 * delayMs + 1) + part
    const own = to - from
    const before = part > 0 ? { slot, from: from - blobRecords } : lastOf(slot - 1, contentType)
    const repeated = before && draw.chance(quirks.repeated) ? REPEATED : 0
    const growing = own > 1 && draw.chance(quirks.growing)
    const late = draw.chance(quirks.late)
    const oddity = oddityOf(draw)
    const oddAt = draw.below(own)
    const records = (): number[] => {
      const mine = slots.indices(slot, contentType, from, to)
      const theirs = before && repeated ? slots.indices(before.slot, contentType, before.from, before.from + repeated) : []
      return [...mine, ...theirs, ...(oddity === 'same_id' ? [mine[oddAt] as number] : [])]
    }
    const theirs = before && repeated ? Math.min(repeated, slots.count(before.slot, contentType) - before.from) : 0
    const count = own + theirs + (oddity === 'same_id' ? 1 : 0)
    const base = {
      contentType,
      created,
      visible: late ? created + LATE_MS : created,
      expires: created + expiryMs,
      count,
      early: growing ? Math.ceil(own / 2) : count,
      grown: growing ? created + GROWS_MS : created,
      // The second record with an Id is the last one.
      odd: oddity && { at: oddity === 'same_id' ? count - 1 : oddAt, oddity },
      missing: false,
    }
    const none = { ...base, count: 0, early: 0, grown: created, odd: undefined, records: [] }
    const id = () => contentId(contentType, created, draw)
    const blobs: Blob[] = [
      {
        ...base,
        id: id(),
        get records() {
          return records()
        },
      },
    ]
    if (draw.chance(quirks.missing)) blobs.push({ ...none, id: id(), missing: true })
    if (draw.chance(quirks.empty)) blobs.push({ ...none, id: id() })
    if (draw.chance(quirks.expired)) blobs.push({ ...none, id: id(), expires: created, missing: true })
    return blobs
  }

  /** The last blob of a slot, as far as its records go. */
  function lastOf(slot: number, contentType: ContentType): { readonly slot: number; readonly from: number } | undefined {
    const count = slot < 0 ? 0 : slots.count(slot, contentType)
    return count === 0 ? undefined : { slot, from: Math.floor((count - 1) / blobRecords) * blobRecords }
  }

  function oddityOf(draw: Draw): RecordOddity | undefined {
    const { sameId, noId, emptyId } = options.quirks
    const drawn = [draw.chance(sameId), draw.chance(noId), draw.chance(emptyId)]
    return (['same_id', 'no_id', 'empty_id'] as const).find((_, index) => drawn[index])
  }
}

/** `<stamp>$<stamp>$<feed>$<Feed>$<region>`, as contentIds were seen; clients may read nothing from it. */
export function contentId(contentType: ContentType, created: number, draw: Draw): string {
  const stamp = (time: number) =>
    `${new Date(time).toISOString().replace(/\D/g, '')}${String(draw.below(1_000_000)).padStart(6, '0')}`
  const feed = contentType.replace('.', '_')
  return `${stamp(created - draw.below(600_000))}$${stamp(created)}$${feed.toLowerCase()}$${feed}$emea0029`
}

/** What the simulator itself reads from a contentId: so it finds a blob that it has forgotten. */
export function timeInId(id: string): { readonly contentType: ContentType; readonly created: number } | undefined {
  const [, date, time, ms, feed] = /^\d{23}\$(\d{8})(\d{6})(\d{3})\d{6}\$[a-z_]+\$(\w+)\$/.exec(id) ?? []
  const contentType = CONTENT_TYPES.find(type => type.replace('.', '_') === feed)
  if (!date || !time || !contentType) return undefined
  const pairs = (text: string, mark: string) => (text.match(/\d\d/g) ?? []).join(mark)
  const created = Date.parse(`${date.slice(0, 4)}-${pairs(date.slice(4), '-')}T${pairs(time, ':')}.${ms}Z`)
  return Number.isNaN(created) ? undefined : { contentType, created }
}
