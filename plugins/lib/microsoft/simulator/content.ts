// What a simulated tenant's feed holds: which records lie in which blob, when it was made, when it can be seen and when it expires.
// All of it follows from the seed: a blob is made anew, byte for byte the same, each time somebody reads it.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { CONTENT_TYPES, type ContentType } from '../service/content-types.ts'
import { STREAM } from '../tenant/draw.ts'
import { makeRecord } from '../tenant/feed.ts'
import { makeTenant, type Tenant } from '../tenant/tenant.ts'
import { makeWorld } from '../tenant/world.ts'
import { type BigBlob, bigBlob } from './big-blob.ts'
import { LATE_MS, slotBlobs, timeInId } from './blobs.ts'
import { bodyOf, oddRecord, type RecordOddity } from './records.ts'
import type { LongBody } from './reply.ts'
import { remember, slotsOf } from './slots.ts'

export interface ContentOptions {
  readonly seed: number
  /** The tenant's number, from 0. */
  readonly number: number
  readonly users: number
  /** The first record's time. Milliseconds since 1970. */
  readonly start: number
  /** Records of so much time lie in one blob of each content type. Milliseconds. */
  readonly slotMs: number
  /** How long after its last record a blob is made, about. Milliseconds. */
  readonly delayMs: number
  /** More records than this make another blob of the same time. */
  readonly blobRecords: number
  /** How long a blob can be read. Milliseconds. */
  readonly expiryMs: number
  readonly quirks: ContentQuirks
  /** One blob of about so many bytes is made at this time (milliseconds since 1970). */
  readonly big?: { readonly bytes: number; readonly at: number } | undefined
  /** How many slots are remembered; what is forgotten is made anew. */
  readonly keptSlots: number
}

/** Shares of blobs (0 to 1) that something is odd about. */
export interface ContentQuirks {
  /** Listed only hours after it was made, among older ones. */
  readonly late: number
  /** At first with some of its records; with all of them half an hour later. */
  readonly growing: number
  /** Holds records of the blob before it, too. */
  readonly repeated: number
  /** Beside it one is listed that cannot be read: its records never existed. */
  readonly missing: number
  /** Beside it one is listed that expired before anybody could read it: its records are in no ledger. */
  readonly expired: number
  /** Without a record. */
  readonly empty: number
  /** Holds two records with one Id that do not say the same. */
  readonly sameId: number
  /** Holds a record without an Id. */
  readonly noId: number
  /** Holds a record with an empty Id. */
  readonly emptyId: number
}

export const NO_QUIRKS: ContentQuirks = {
  ...{ late: 0, growing: 0, repeated: 0, missing: 0, expired: 0, empty: 0 },
  ...{ sameId: 0, noId: 0, emptyId: 0 },
}

export interface Blob {
  readonly contentType: ContentType
  readonly id: string
  /** contentCreated, and the moment from which it is listed: later where it is a late one. Milliseconds since 1970. */
  readonly created: number
  readonly visible: number
  readonly expires: number
  /** How many records it has when it is whole; `early` of them are there before `grown`. */
  readonly count: number
  readonly early: number
  readonly grown: number
  /** Indices of its records: looked up anew each time, so that a blob costs little memory. */
  readonly records: readonly number[]
  /** The record at this place is odd. */
  readonly odd: { readonly at: number; readonly oddity: RecordOddity } | undefined
  /** Listed, and not to be had. */
  readonly missing: boolean
}

export interface TenantContent {
  readonly tenant: Tenant
  /** Blobs of a content type that were made from `from` (inclusive) to `to` (exclusive), and can be seen at `now`; in the order seen. */
  list(contentType: ContentType, from: number, to: number, now: number): Blob[]
  /** Blobs of a content type that came into sight after `after`, up to `now`; in the order seen. */
  appeared(contentType: ContentType, after: number, now: number): Blob[]
  find(id: string): Blob | undefined
  /** Every blob that can be seen at `now`. */
  all(now: number): Blob[]
  /** The records that a blob holds at `now`. */
  records(blob: Blob, now: number): JsonObject[]
  /** The same as the API serves it. `redacted`: without the values that DLP rules matched. */
  body(blob: Blob, now: number, redacted: boolean): LongBody
}

export function tenantContent(options: ContentOptions): TenantContent {
  const { seed, number, users, start, slotMs, keptSlots, big: wanted, delayMs } = options
  const tenant = makeTenant(seed, number, users)
  const world = makeWorld({ seed, salt: number + 1, tenants: 1, users, start })
  const scene = (index: number, time?: number) =>
    world.scene(STREAM.record, index, { tenant, ...(time !== undefined && { time }) })
  const slots = slotsOf({ seed: seed ^ (number + 1), timeline: world.timeline, start, slotMs })
  const make = slotBlobs(options, slots)
  const big: BigBlob | undefined = wanted && bigBlob({ ...options, ...wanted, scene })

  /** Slot → its blobs by the number of their content type. */
  const kept = new Map<number, readonly (readonly Blob[])[]>()
  const blobsOf = (slot: number) => kept.get(slot) ?? remember(kept, slot, make(slot), keptSlots)
  const slotAt = (time: number) => Math.floor((time - start) / slotMs)

  /** Blobs that may have been made in this time, and some more: what is made of a slot is made a little later than its end. */
  function* around(contentType: ContentType, from: number, to: number, now: number): Generator<Blob> {
    const last = Math.min(slotAt(to), slotAt(now) - 1)
    const kind = CONTENT_TYPES.indexOf(contentType)
    for (let slot = Math.max(0, slotAt(from - 4 * delayMs) - 2); slot <= last; slot++) yield* blobsOf(slot)[kind] ?? []
    if (big?.blob.contentType === contentType) yield big.blob
  }

  const record = (index: number): JsonObject =>
    big?.owns(index) ? big.record(index) : makeRecord(slots.type(index), scene(index))

  function* recordsOf(blob: Blob, now: number): Generator<JsonObject> {
    const there = now < blob.grown ? blob.early : blob.count
    let at = 0
    for (const index of blob.records) {
      if (at === there) return
      yield oddRecord(record(index), blob.odd?.at === at ? blob.odd.oddity : undefined)
      at++
    }
  }

  const inOrder = (blobs: Blob[]) => blobs.sort((a, b) => a.visible - b.visible)
  return {
    tenant,
    list(contentType, from, to, now) {
      const wanted = ({ created, visible }: Blob) => created >= from && created < to && visible <= now
      return inOrder([...around(contentType, from, to, now)].filter(wanted))
    },
    appeared(contentType, after, now) {
      const wanted = ({ visible }: Blob) => visible > after && visible <= now
      return inOrder([...around(contentType, after - LATE_MS, now, now)].filter(wanted))
    },
    find(id) {
      if (big?.blob.id === id) return big.blob
      const { contentType, created } = timeInId(id) ?? {}
      if (contentType === undefined || created === undefined) return undefined
      for (const blob of around(contentType, created, created, Number.MAX_SAFE_INTEGER)) if (blob.id === id) return blob
      return undefined
    },
    all: now => CONTENT_TYPES.flatMap(type => [...around(type, start, now, now)]).filter(({ visible }) => visible <= now),
    records: (blob, now) => [...recordsOf(blob, now)],
    body(blob, now, redacted) {
      const count = now < blob.grown ? blob.early : blob.count
      return bodyOf(() => recordsOf(blob, now), count, `${tenant.id} ${blob.id} ${count}`, redacted)
    },
  }
}
