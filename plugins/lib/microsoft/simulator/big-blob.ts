// One blob that is much larger than the others: of records that nothing else holds, so many that they fill it.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { Draw, STREAM } from '../tenant/draw.ts'
import { makeRecord } from '../tenant/feed.ts'
import type { Scene } from '../tenant/world.ts'
import { contentId } from './blobs.ts'
import type { Blob } from './content.ts'
import { SHAREPOINT_TYPES } from './slots.ts'

export interface BigBlobOptions {
  readonly seed: number
  /** The tenant's number, from 0. */
  readonly number: number
  /** Decoded bytes, about. */
  readonly bytes: number
  /** When it is made. Milliseconds since 1970. */
  readonly at: number
  readonly expiryMs: number
  /** The scene with this index, at this time. */
  scene(index: number, time: number): Scene
}

export interface BigBlob {
  readonly blob: Blob
  owns(index: number): boolean
  record(index: number): JsonObject
}

/** Its records have indices that no other record comes to. */
const FIRST = 2 ** 40
/** So many records are made to see how long they are. */
const MEASURED = 200
const HOUR_MS = 3_600_000

export function bigBlob({ seed, number, bytes, at, expiryMs, scene }: BigBlobOptions): BigBlob {
  const record = (index: number): JsonObject => {
    const nth = index - FIRST
    return makeRecord(SHAREPOINT_TYPES[nth % SHAREPOINT_TYPES.length] as number, scene(index, at - HOUR_MS + (nth % HOUR_MS)))
  }
  let measured = 0
  for (let nth = 0; nth < MEASURED; nth++) measured += Buffer.byteLength(JSON.stringify(record(FIRST + nth))) + 1
  const count = Math.max(1, Math.round((bytes / measured) * MEASURED))
  const blob: Blob = {
    contentType: 'Audit.SharePoint',
    id: contentId('Audit.SharePoint', at, new Draw(seed ^ (number + 1), STREAM.quirk, FIRST - 1)),
    ...{ created: at, visible: at, grown: at, expires: at + expiryMs },
    ...{ count, early: count, odd: undefined, missing: false },
    get records() {
      return Array.from({ length: count }, (_, nth) => FIRST + nth)
    },
  }
  return { blob, owns: index => index >= FIRST, record }
}
