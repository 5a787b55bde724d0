// A ledger's rows of blobs that are gone become counts: it does not grow with the years.
import type { Rows } from '../../../core/plugin/interfaces.ts'
import { isObject } from '../../../core/plugin/json.ts'
import { rowPages } from '../../lib/row-pages.ts'
import { countsOf, type LedgerRows, type Row } from './ledger-rows.ts'

const DAY_MS = 86_400_000
/** So long after it was made content is listed. */
const LISTED_MS = 7 * DAY_MS

/** Rows of blobs that expired, and were last listed, more than a day ago become counts. Gives how many. */
export async function foldLedger(rows: Rows, keys: LedgerRows, now: number): Promise<number> {
  let folded = 0
  for await (const page of rowPages(rows, keys.of('b'))) {
    const sums = new Map<string, { blobs: number; records: number; lost: number }>()
    const gone: Row[] = []
    for (const [key, value] of page) {
      const { expires, records, lost } = countsOf(value)
      const [, , contentType = '', hour = ''] = key.split('/')
      // While the service lists it, it would be taken for something new.
      if (Math.max(expires, Date.parse(`${hour}:00Z`) + LISTED_MS) + DAY_MS > now) continue
      const day = keys.folded(contentType, hour.slice(0, 10))
      const sum = sums.get(day) ?? { blobs: 0, records: 0, lost: 0 }
      sums.set(day, { blobs: sum.blobs + 1, records: sum.records + records, lost: sum.lost + lost })
      gone.push([key, null])
    }
    for (const [day, { blobs, records, lost }] of sums) {
      const old = await rows.get(day)
      const before = isObject(old) ? old : {}
      const add = (name: string, more: number) => Number(before[name] ?? 0) + more
      gone.push([day, { blobs: add('blobs', blobs), records: add('records', records), lost: add('lost', lost) }])
    }
    if (gone.length > 0) await rows.put(gone)
    folded += gone.length - sums.size
  }
  return folded
}
