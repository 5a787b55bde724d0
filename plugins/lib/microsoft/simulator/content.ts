// What a simulated tenant's feed holds: which records lie in which blob, when it was made, when it can be seen and when it expires.
// All of it follows from the seed: a blob is made anew, byte for byte the same, each time somebody reads it.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { CONTENT_TYPES, type ContentType } from '../service/content-types.ts'
import { Draw, STREAM } from '../tenant/draw.ts'
import { makeFeed } from '../tenant/feed.ts'
import { makeTenant, type Tenant } from '../tenant/tenant.ts'
import { makeWorld } from '../tenant/world.ts'

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
}

/** Shares of blobs (0 to 1) that something is odd about. */
export interface ContentQuirks {
  /** Listed only hours after it was made, among older ones. */
  readonly late: number
  /** At first with some of its records; with all of them an hour later. */
  readonly growing: number
  /** Holds records of the blob before it, too. */
  readonly repeated: number
  /** Beside it one is listed that cannot be read: its records never existed. */
  readonly missing: number
  /** Without a record. */
  readonly empty: number
}

export const NO_QUIRKS: ContentQuirks = { late: 0, growing: 0, repeated: 0, missing: 0, empty: 0 }

export interface Blob {
  readonly contentType: ContentType
  readonly id: string
  /** contentCreated, and the moment from which it is listed: later where it is a late one. Milliseconds since 1970. */
  readonly created: number
  readonly visible: number
  readonly expires: number
  /** Indices of its records; the first `early` of them are there before `grown`. */
  readonly records: readonly number[]
  readonly early: number
  readonly grown: number
  /** Listed, and not to be had. */
  readonly missing: boolean
}

export interface TenantContent {
  readonly tenant: Tenant
  /** Blobs of a content type that were made from `from` (inclusive) to `to` (exclusive), and can be seen at `now`; in the order seen. */
  list(contentType: ContentType, from: number, to: number, now: number): Blob[]
  find(id: string): Blob | undefined
  /** Every blob that can be seen at `now`. */
  all(now: number): Blob[]
  /** The records that a blob holds at `now`. */
  records(blob: Blob, now: number): JsonObject[]
}

const HOUR_MS = 3_600_000
const LATE_MS = 10 * HOUR_MS
const GROWS_MS = HOUR_MS / 2

const EXCHANGE = [1, 2, 3, 50]
const SHAREPOINT = [4, 6, 14, 36]
const DIRECTORY = [8, 15]
const DLP = [11, 13]

/** Where records of a type are found; documented in prose only. */
function contentTypeOf(recordType: unknown): ContentType {
  const type = Number(recordType)
  if (EXCHANGE.includes(type)) return 'Audit.Exchange'
  if (SHAREPOINT.includes(type)) return 'Audit.SharePoint'
  if (DIRECTORY.includes(type)) return 'Audit.AzureActiveDirectory'
  return DLP.includes(type) ? 'DLP.All' : 'Audit.General'
}

export function tenantContent(options: ContentOptions): TenantContent {
  const { seed, number, users, start, slotMs, delayMs, blobRecords, expiryMs, quirks } = options
  const tenant = makeTenant(seed, number, users)
  const own = makeWorld({ seed, salt: number + 1, tenants: 1, users, start })
  const feed = makeFeed({ ...own, scene: (stream, index, given) => own.scene(stream, index, { ...given, tenant }) })

  /** By content type, in the order in which they were made. */
  const blobs = new Map<ContentType, Blob[]>(CONTENT_TYPES.map(type => [type, []]))
  const byId = new Map<string, Blob>()
  let next = 0
  let slot = 0

  /** Makes the blobs of all slots that are over. */
  const make = (now: number): void => {
    for (; start + (slot + 1) * slotMs <= now; slot++) {
      const end = start + (slot + 1) * slotMs
      const groups = new Map<ContentType, number[]>(CONTENT_TYPES.map(type => [type, []]))
      for (; own.timeline.at(next) < end; next++) groups.get(contentTypeOf(feed(next)['RecordType']))?.push(next)
      for (const [contentType, records] of groups) {
        for (let at = 0, part = 0; at < records.length; at += blobRecords, part++)
          add(contentType, records.slice(at, at + blobRecords), end, part)
      }
    }
  }

  const add = (contentType: ContentType, records: number[], end: number, part: number): void => {
    const kind = CONTENT_TYPES.indexOf(contentType)
    const draw = new Draw(seed ^ (number + 1), STREAM.quirk, (slot * 64 + part) * CONTENT_TYPES.length + kind)
    const list = blobs.get(contentType) as Blob[]
    const created = end + draw.below(2 * delayMs + 1) + part
    const before = list.at(-1)
    const repeated = before && draw.chance(quirks.repeated) ? before.records.slice(0, 3) : []
    const growing = records.length > 1 && draw.chance(quirks.growing)
    const base = {
      contentType,
      created,
      visible: draw.chance(quirks.late) ? created + LATE_MS : created,
      expires: created + expiryMs,
      grown: growing ? created + GROWS_MS : created,
      early: growing ? Math.ceil(records.length / 2) : records.length + repeated.length,
      missing: false,
    }
    const put = (blob: Blob) => {
      list.push(blob)
      byId.set(blob.id, blob)
    }
    put({ ...base, id: contentId(contentType, created, draw), records: [...records, ...repeated] })
    if (draw.chance(quirks.missing)) put({ ...base, id: contentId(contentType, created, draw), records: [], missing: true })
    if (draw.chance(quirks.empty)) put({ ...base, id: contentId(contentType, created, draw), records: [] })
  }

  const seen = (blob: Blob, now: number) => blob.visible <= now
  return {
    tenant,
    list(contentType, from, to, now) {
      make(now)
      const found = (blobs.get(contentType) as Blob[]).filter(
        blob => blob.created >= from && blob.created < to && seen(blob, now),
      )
      return found.sort((a, b) => a.visible - b.visible)
    },
    find: id => byId.get(id),
    all(now) {
      make(now)
      return [...blobs.values()].flat().filter(blob => seen(blob, now))
    },
    records(blob, now) {
      const there = now < blob.grown ? blob.records.slice(0, blob.early) : blob.records
      return there.map(index => feed(index))
    },
  }
}

/** `<stamp>$<stamp>$<feed>$<Feed>$<region>`, as contentIds were seen; nobody may read anything from it. */
function contentId(contentType: ContentType, created: number, draw: Draw): string {
  const stamp = (time: number) =>
    `${new Date(time).toISOString().replace(/\D/g, '')}${String(draw.below(1_000_000)).padStart(6, '0')}`
  const feed = contentType.replace('.', '_')
  return `${stamp(created - draw.below(600_000))}$${stamp(created)}$${feed.toLowerCase()}$${feed}$emea0029`
}
