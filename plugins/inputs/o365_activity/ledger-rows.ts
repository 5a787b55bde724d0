// The rows of a ledger: their keys, and what stands in them.
//
//   c/TENANT/TYPE                 from when and how far the listings reach
//   w/TENANT/TYPE/FROM            a time whose content cannot be had, until that lies in the dead letters: up to when, and why
//   s/TENANT                      when all that the service still lists was last listed again
//   o/TENANT/EXPIRES/TYPE/HASH    listed and not yet acknowledged: contentId, time made, its link
//   b/TENANT/TYPE/HOUR/HASH       acknowledged, by the hour in which it was made: how many records, their hash, when it expires, the sum of
//                                 their ids, and how many bytes it had up to the last of them; or why it was lost
//   l/TENANT/DUE/TYPE/HASH        acknowledged, and to be read once more: as in o/, when it expires, and how far it was read
//   f/TENANT/TYPE/DAY             how many of a day there were, once their rows have gone
import { hash } from 'node:crypto'
import { isObject, type Json } from '../../../core/plugin/json.ts'
import { IN_ARRAY } from '../../lib/framing/json.ts'
import type { Listed } from './feed-client.ts'
import { NO_IDS } from './id-sum.ts'

/** How far a blob was read. */
export type Progress = {
  /** Bytes of the decoded body that went on. */
  readonly at: number
  /** SHA-256 of these, in base64url. */
  readonly digest: string
  /** What the framer must know to go on there. */
  readonly state: Json
  readonly records: number
  /** Sums of hashes of the records' ids, as `idSum` makes them: the same whatever the order. */
  readonly ids: string
}

/** A blob that is to be read once more, and how far it was read before. */
export interface Look {
  readonly blob: Blob
  readonly progress: Json
  readonly key: string
}

export interface Blob extends Listed {
  readonly contentType: string
  /** Of the contentId, which is long. */
  readonly hash: string
  /** Its row may be older than this run: some of it may have been sent before. */
  readonly before?: true
}

/** A time whose content cannot be had. Milliseconds since 1970. */
export interface Gap {
  readonly from: number
  readonly to: number
  /** It was not listed in time; or the subscription was off. */
  readonly code: 'PEN_WINDOW_LOST' | 'PEN_SUBSCRIPTION_OFF'
}

/** What became of a blob. `lost`: why it cannot be had. */
export type Fate = Progress | { readonly lost: string }
export type Row = readonly [key: string, value: Json | Uint8Array | null]

/** What a ledger says of content that a listing names. */
export type Known =
  | { readonly blob: Blob; readonly state: 'acknowledged'; readonly progress: Progress }
  | { readonly blob: Blob; readonly state: 'lost'; readonly why: string }
  | { readonly blob: Blob; readonly state: 'waiting' | 'missing' }

/** The keys of one tenant's rows, and rows that are the same wherever they are written. */
export class LedgerRows {
  readonly #tenant: string

  /** @param tenant The tenant's id; case does not matter. */
  constructor(tenant: string) {
    this.#tenant = tenant.toLowerCase()
  }

  /** Begins the keys of one kind of row. */
  of(kind: 'c' | 'w' | 'o' | 'b' | 'l'): string {
    return `${kind}/${this.#tenant}/`
  }

  get swept(): string {
    return `s/${this.#tenant}`
  }

  /** Begins the keys of what is acknowledged and was made in the same hour. */
  bucket({ contentType, created }: Blob): string {
    return `${this.of('b')}${contentType}/${new Date(created).toISOString().slice(0, 13)}/`
  }

  closed(blob: Blob): string {
    return `${this.bucket(blob)}${blob.hash}`
  }

  /** `day`: `2026-05-04`. */
  folded(contentType: string, day: string): string {
    return `f/${this.#tenant}/${contentType}/${day}`
  }

  open({ contentType, expires, hash }: Blob): string {
    return `${this.of('o')}${padded(expires)}/${contentType}/${hash}`
  }

  gap(contentType: string, { from }: Gap): string {
    return `${this.of('w')}${contentType}/${padded(from)}`
  }

  opening(blob: Blob): Row {
    return [this.open(blob), [blob.id, blob.created, blob.uri]]
  }

  /** To be read once more at `due`, behind what was read before. */
  looking({ id, created, uri, expires, contentType, hash }: Blob, due: number, progress: Progress): Row {
    return [`${this.of('l')}${padded(due)}/${contentType}/${hash}`, [id, created, uri, expires, progress]]
  }

  cursor(contentType: string, from: number, to: number): Row {
    return [`${this.of('c')}${contentType}`, { from, to }]
  }
}

/** A blob of a listing. */
export function blobOf(contentType: string, item: Listed): Blob {
  return { ...item, contentType, hash: hashOf(item.id) }
}

/** The blob of a row `o/`; undefined where it is none. */
export function openBlob(key: string, value: Json | Uint8Array): Blob | undefined {
  const [, , expires, contentType, hash] = key.split('/')
  if (!Array.isArray(value) || contentType === undefined || hash === undefined) return undefined
  const [id, created, uri] = value
  return { id: String(id), uri: String(uri), created: Number(created), expires: Number(expires), contentType, hash, before: true }
}

/** What a row `l/` asks for, and when; undefined where it is none. */
export function lookOf(key: string, value: Json | Uint8Array): (Look & { readonly due: number }) | undefined {
  const [, , due, contentType = '', hash = ''] = key.split('/')
  if (!Array.isArray(value)) return undefined
  const [id, created, uri, expires, progress] = value
  const blob: Blob = {
    ...{ id: String(id), created: Number(created), uri: String(uri), expires: Number(expires) },
    ...{ contentType, hash, before: true },
  }
  return { blob, progress: progress as Json, key, due: Number(due) }
}

/** What stands in a row `b/`. */
export function fateValue(blob: Blob, fate: Fate): Json {
  if ('lost' in fate) return { lost: fate.lost, expires: blob.expires }
  return [fate.records, fate.digest, blob.expires, fate.ids, fate.at]
}

/** How far an acknowledged blob was read, from its row. */
export function progressOf([records, digest, , ids, at]: readonly Json[]): Progress {
  return { at: Number(at ?? 0), digest: String(digest), state: IN_ARRAY, records: Number(records), ids: String(ids ?? NO_IDS) }
}

/** What is left of a row `b/` in a count. */
export function countsOf(value: Json | Uint8Array): { expires: number; records: number; lost: number } {
  if (Array.isArray(value)) return { expires: Number(value[2]), records: Number(value[0]), lost: 0 }
  return { expires: isObject(value) ? Number(value['expires']) : 0, records: 0, lost: 1 }
}

/** Milliseconds that sort as text. */
function padded(ms: number): string {
  return String(ms).padStart(15, '0')
}

/** What a contentId is known by: 132 bits of SHA-256. */
export function hashOf(contentId: string): string {
  return hash('sha256', contentId, 'base64url').slice(0, 22)
}
