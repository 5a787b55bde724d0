// Which documents are there already. A data stream refuses an `_id` only within its newest index: after a rollover it would take it twice.
import type { Item } from '../../../core/plugin/interfaces.ts'
import { isObject } from '../../../core/plugin/json.ts'
import type { Answer, Asked } from './connection.ts'

/** A search gives so many documents at most, unless an index says otherwise (index.max_result_window). */
const MOST_IDS = 10_000

/** Sends a request; gives answers with status 200 and 404 alone. */
type Ask = (asked: Asked) => Promise<Answer>

/** Where a document lies, and which version of it. */
export interface Place {
  readonly index: string
  readonly seqNo: number
  readonly primaryTerm: number
}

/** The items, by their index, that an index or a data stream holds already, in whichever of its indices. */
export async function found(
  items: readonly Item[],
  idOf: (item: Item) => string,
  ask: Ask,
  signal: AbortSignal,
): Promise<ReadonlyMap<number, Place>> {
  const groups = Map.groupBy(items.keys(), index => items[index]?.address.to ?? '')
  const there = new Map<number, Place>()
  for (const [to, indices] of groups) {
    const path = `/${encodeURIComponent(to)}`
    // A document can be searched for after a refresh, and an index that nobody searches is not refreshed by itself.
    const refreshed = await ask({ method: 'POST', path: `${path}/_refresh`, query: { filter_path: '_shards.failed' }, signal })
    if (refreshed.status === 404) continue
    for (let from = 0; from < indices.length; from += MOST_IDS) {
      const some = indices.slice(from, from + MOST_IDS).map(index => [index, idOf(items[index] as Item)] as const)
      const places = await placesOf(path, [...new Set(some.map(([, id]) => id))], ask, signal)
      for (const [index, id] of some) {
        const place = places.get(id)
        if (place) there.set(index, place)
      }
    }
  }
  return there
}

async function placesOf(
  path: string,
  values: readonly string[],
  ask: Ask,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Place>> {
  const parts = ['_id', '_index', '_seq_no', '_primary_term'].map(part => `hits.hits.${part}`)
  const { json } = await ask({
    method: 'POST',
    path: `${path}/_search`,
    // Half of the shards would be half of the truth.
    query: { filter_path: parts.join(), allow_partial_search_results: 'false' },
    body: {
      query: { ids: { values } },
      ...{ size: values.length, _source: false, seq_no_primary_term: true, track_total_hits: false, sort: ['_doc'] },
    },
    signal,
  })
  const hits = isObject(json) && isObject(json['hits']) ? json['hits']['hits'] : undefined
  const places = new Map<string, Place>()
  for (const hit of Array.isArray(hits) ? hits : [])
    if (isObject(hit))
      places.set(String(hit['_id']), {
        index: String(hit['_index']),
        seqNo: Number(hit['_seq_no']),
        primaryTerm: Number(hit['_primary_term']),
      })
  return places
}
