// Which records happen in which slot of time, and in which content type they lie: decided without making them, since making is dear.
import { CONTENT_TYPES, type ContentType } from '../service/content-types.ts'
import { KINDS } from '../tenant/feed.ts'
import type { Timeline } from '../tenant/timeline.ts'

export interface SlotsOptions {
  readonly seed: number
  readonly timeline: Timeline
  /** The first slot begins here. Milliseconds since 1970. */
  readonly start: number
  readonly slotMs: number
}

export interface Slots {
  /** How many records of a content type happen in a slot. */
  count(slot: number, contentType: ContentType): number
  /** Indices of these records from the one at `from` (inclusive) to the one at `to` (exclusive), in the order of their times. */
  indices(slot: number, contentType: ContentType, from: number, to: number): number[]
  /** The record type of the record with this index; what KINDS makes. */
  type(index: number): number
}

/** Slots whose counts are remembered; a week in slots of five minutes has 2,016. */
const REMEMBERED = 4_096

const EXCHANGE = [1, 2, 3, 50]
const SHAREPOINT = [4, 6, 14, 36]
const DIRECTORY = [8, 15]
const DLP = [11, 13]

/** Record types of SharePoint's feed. */
export const SHAREPOINT_TYPES: readonly number[] = SHAREPOINT

/** Where records of a type are found; documented in prose only. */
function contentTypeOf(type: number): ContentType {
  if (EXCHANGE.includes(type)) return 'Audit.Exchange'
  if (SHAREPOINT.includes(type)) return 'Audit.SharePoint'
  if (DIRECTORY.includes(type)) return 'Audit.AzureActiveDirectory'
  return DLP.includes(type) ? 'DLP.All' : 'Audit.General'
}

/** Every kind as often as its share says: its record type, and the number of its content type. */
const TYPES = Uint16Array.from(KINDS.flatMap(({ type, share }) => Array<number>(share).fill(type)))
const FEEDS = Uint8Array.from(TYPES, type => CONTENT_TYPES.indexOf(contentTypeOf(type)))

export function slotsOf({ seed, timeline, start, slotMs }: SlotsOptions): Slots {
  /** Slot → index of its first record. */
  const firsts = new Map<number, number>()
  const counts = new Map<number, Uint32Array>()

  /** The finalizer of MurmurHash3 (Austin Appleby, public domain): neighbours get cards that have nothing in common. */
  const card = (index: number): number => {
    let mixed = index ^ Math.imul(Math.floor(index / 2 ** 32) + 1, 0x9e3779b1) ^ seed
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
    return ((mixed ^ (mixed >>> 16)) >>> 0) % TYPES.length
  }

  const first = (slot: number): number => {
    const known = firsts.get(slot)
    if (known !== undefined) return known
    const time = start + slot * slotMs
    let low = 0
    let high = 1
    while (timeline.at(high) < time) {
      low = high
      high *= 2
    }
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if (timeline.at(middle) < time) low = middle + 1
      else high = middle
    }
    return remember(firsts, slot, low)
  }

  return {
    type: index => TYPES[card(index)] as number,
    count(slot, contentType) {
      let own = counts.get(slot)
      if (!own) {
        own = new Uint32Array(CONTENT_TYPES.length)
        const end = first(slot + 1)
        for (let index = first(slot); index < end; index++) {
          const feed = FEEDS[card(index)] as number
          own[feed] = (own[feed] as number) + 1
        }
        remember(counts, slot, own)
      }
      return own[CONTENT_TYPES.indexOf(contentType)] as number
    },
    indices(slot, contentType, from, to) {
      const feed = CONTENT_TYPES.indexOf(contentType)
      const found: number[] = []
      const end = first(slot + 1)
      for (let index = first(slot), nth = 0; index < end && nth < to; index++) {
        if (FEEDS[card(index)] === feed && nth++ >= from) found.push(index)
      }
      return found
    },
  }
}

/** Puts a value into a map of bounded size; the oldest makes room. */
export function remember<K, V>(map: Map<K, V>, key: K, value: V, most = REMEMBERED): V {
  if (map.size >= most) map.delete(map.keys().next().value as K)
  map.set(key, value)
  return value
}
