// How far the pipeline has read, from the rows of its ledger: listed up to, and what waits.
import { number } from '../../../../core/cli/for-plugins.ts'
import type { Rows } from '../../../../core/plugin/interfaces.ts'
import { isObject } from '../../../../core/plugin/json.ts'
import { rowPages } from '../../../lib/row-pages.ts'
import { LedgerRows, openBlob } from '../ledger-rows.ts'
import type { TenantSettings } from '../tenant-settings.ts'
import { at, type Finding, finding, span } from './finding.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Content that is older can be listed no more. */
const LISTED_MS = 7 * DAY_MS

interface Waiting {
  count: number
  /** When the oldest was made, and when the first expires. Milliseconds since 1970. */
  oldest: number
  expires: number
}

/** @param now The service's time, milliseconds since 1970. */
export async function progressFindings(rows: Rows, settings: TenantSettings, now: number): Promise<Finding[]> {
  const keys = new LedgerRows(settings.tenantId)
  const waiting = await waitingOf(rows, keys)
  return Promise.all(
    settings.contentTypes.map(async contentType => {
      const cursor = await rows.get(`${keys.of('c')}${contentType}`)
      const to = isObject(cursor) ? Number(cursor['to']) : undefined
      return typeFinding(contentType, to, waiting.get(contentType), Math.min(now, untilOf(settings, now) ?? now), now)
    }),
  )
}

function untilOf({ until }: TenantSettings, now: number): number | undefined {
  return until && ('at' in until ? until.at : now - until.ago)
}

/** By content type. There may be millions. */
async function waitingOf(rows: Rows, keys: LedgerRows): Promise<Map<string, Waiting>> {
  const found = new Map<string, Waiting>()
  for await (const page of rowPages(rows, keys.of('o'))) {
    for (const [key, value] of page) {
      const blob = openBlob(key, value)
      if (!blob) continue
      const { contentType, created, expires } = blob
      const sum = found.get(contentType) ?? { count: 0, oldest: Number.POSITIVE_INFINITY, expires: Number.POSITIVE_INFINITY }
      sum.count++
      if (created < sum.oldest) sum.oldest = created
      if (expires < sum.expires) sum.expires = expires
      found.set(contentType, sum)
    }
  }
  return found
}

/** @param goal Up to when it should have listed. */
function typeFinding(
  contentType: string,
  to: number | undefined,
  waiting: Waiting | undefined,
  goal: number,
  now: number,
): Finding {
  const tell = (status: Finding['status'], message: string, remedy?: string) =>
    finding('progress', status, `${contentType}: ${message}`, remedy)
  if (to === undefined) return tell('ok', 'not listed yet')
  const behind = Math.max(0, goal - to)
  const listed = `listed up to ${at(to)}${behind === 0 ? '' : ` (${span(behind)} behind)`}`
  const oldest = waiting && Number.isFinite(waiting.oldest) ? `, the oldest made ${span(now - waiting.oldest)} ago` : ''
  const many = waiting?.count === 1 ? '1 blob waits' : `${number(waiting?.count ?? 0)} blobs wait`
  const waits = waiting ? `${many}${oldest}` : 'no blob waits'
  const message = `${listed}; ${waits}`
  if (now - to > LISTED_MS && behind > 0)
    return tell(
      'failed',
      `${message}; what was made before ${at(now - LISTED_MS)} and is not listed can be listed no more`,
      'Start penstock run now: each hour takes another one away. Older records are in the audit search of the portal.',
    )
  if (waiting && waiting.expires < now + DAY_MS)
    return tell(
      'warning',
      `${message}; the first ${waiting.expires < now ? 'expired' : 'expires'} at ${at(waiting.expires)}`,
      'Start penstock run: what expires first is fetched first.',
    )
  if (behind > DAY_MS) return tell('warning', message, 'Start penstock run, or look into its log for why it stays behind.')
  return tell('ok', message)
}
