// A bulk request: its body from the items' bytes, and what each part of its answer means.

import type { Item } from '../../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import type { Place } from './look-up.ts'

/** What Elasticsearch answers for each item, as far as it is asked for. */
export const ANSWER_PARTS = 'items.*.status,items.*.error,items.*.failure_store'

/** The bytes of some items, one after the other; what lies side by side already is copied at once. */
export function bodyOf(items: readonly Item[]): Buffer {
  const parts: Uint8Array[] = []
  let open: { memory: Uint8Array; start: number; end: number } | undefined
  for (const { memory, start, end } of items) {
    if (open && open.memory === memory && open.end === start) open.end = end
    else {
      if (open) parts.push(open.memory.subarray(open.start, open.end))
      open = { memory, start, end }
    }
  }
  if (open) parts.push(open.memory.subarray(open.start, open.end))
  return Buffer.concat(parts)
}

/** The same for items that take the place of documents: these are named with their index and their version. */
export function replacing(items: readonly Item[], there: ReadonlyMap<number, Place>, idOf: (item: Item) => string): Buffer {
  const parts: Uint8Array[] = []
  for (const [at, item] of items.entries()) {
    const place = there.get(at)
    const { bytes } = item
    if (!place) parts.push(bytes)
    else {
      const index = { _index: place.index, _id: idOf(item), if_seq_no: place.seqNo, if_primary_term: place.primaryTerm }
      // The first line is what `encode` wrote for a new document.
      parts.push(Buffer.from(`${JSON.stringify({ index })}\n`), bytes.subarray(bytes.indexOf(10) + 1))
    }
  }
  return Buffer.concat(parts)
}

/**
 * What became of one item.
 * replaced: it has taken the place of another one. there: it was delivered before. spilled: it lies in the failure store. busy: again, when the destination has recovered.
 * missing: there is no such index. barred: the key lacks a right. refused: it will never be taken.
 */
export type Fate = 'made' | 'replaced' | 'there' | 'spilled' | 'busy' | 'missing' | 'barred' | 'refused'

export interface Judged {
  readonly fate: Fate
  /** What Elasticsearch says, as one sentence; '' where all is well. */
  readonly why: string
}

const MADE: Judged = { fate: 'made', why: '' }
const REPLACED: Judged = { fate: 'replaced', why: '' }
const THERE: Judged = { fate: 'there', why: '' }

/** The parts of a bulk answer, one for each item; undefined where it is no such answer. */
export function partsOf(json: unknown): readonly JsonObject[] | undefined {
  if (!isObject(json)) return undefined
  const items = json['items']
  if (!Array.isArray(items)) return undefined
  const parts: JsonObject[] = []
  for (const item of items) {
    const part = isObject(item) ? Object.values(item)[0] : undefined
    if (!isObject(part)) return undefined
    parts.push(part)
  }
  return parts
}

export function judge(part: JsonObject): Judged {
  const status = Number(part['status'])
  if (status === 200 || status === 201) {
    if (part['failure_store'] !== 'used') return status === 201 ? MADE : REPLACED
    return { fate: 'spilled', why: 'it lies in the failure store of its data stream: the mapping did not take it' }
  }
  if (status === 409) return THERE
  const { type, why } = reasonOf(part['error'])
  // A full disk's block comes as 429 or as 403.
  if (status === 429 || status >= 500 || type === 'cluster_block_exception') return { fate: 'busy', why }
  if (status === 401 || status === 403) return { fate: 'barred', why }
  if (status === 404) return { fate: 'missing', why }
  // Whatever this is, it is no answer to the event.
  if (Number.isNaN(status)) return { fate: 'busy', why: why || 'an item has no status' }
  return { fate: 'refused', why: why || `status ${status}` }
}

/** An error of Elasticsearch as its type and one sentence, with what caused it. */
export function reasonOf(error: unknown): { readonly type: string; readonly why: string } {
  if (!isObject(error)) return { type: '', why: typeof error === 'string' ? error : '' }
  const type = String(error['type'] ?? '')
  const parts: string[] = []
  for (let one: unknown = error; isObject(one); one = one['caused_by']) {
    const text = `${one['type'] ?? 'error'}: ${one['reason'] ?? 'no reason is given'}`
    if (!parts.includes(text)) parts.push(text)
  }
  return { type, why: parts.join('; ') }
}
