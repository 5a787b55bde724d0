// A blob of 60 MB beside blobs of 1 MB; a thousand tenants beside ten; what a ledger takes.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { rowsIn } from '../../../core/flow/rows.ts'
import { openStore } from '../../../core/state/store.ts'
import { Ledger } from '../../../plugins/inputs/o365_activity/ledger.ts'
import { blobOf } from '../../../plugins/inputs/o365_activity/ledger-rows.ts'
import type { Bench } from '../bench.ts'
import { median } from '../board.ts'
import { HOUR_MS, NOON, runFeed, simulated } from './simulated.ts'

const BIG_BYTES = 60_000_000

export async function feedBlob(bench: Bench): Promise<void> {
  const { board, engines, rounds } = bench
  const size = { users: 5_000, historyMs: 8 * HOUR_MS, slotMs: HOUR_MS, blobRecords: 750 }
  for (let round = 0; round < rounds; round++)
    for (const [name, bigBlobBytes] of [
      ['blobs of 1 MB', 0],
      ['the same and one of 60 MB', BIG_BYTES],
    ] as const) {
      const service = await simulated(bench, { ...size, bigBlobBytes })
      try {
        for (const engine of engines) {
          const { rssMb } = await runFeed(bench, engine, service, {})
          board.add(`feed, ${name}: peak RSS`, 'MB', engine.name, rssMb)
        }
      } finally {
        await service.close()
      }
    }
}

/** Idle tenants: memory, and how long a round of all of them takes. */
export async function feedTenants(bench: Bench): Promise<void> {
  const { board, engines } = bench
  const rss: number[] = []
  const counts = [10, 1_000]
  for (const tenants of counts) {
    const service = await simulated(bench, { tenants, users: 2, historyMs: HOUR_MS, slotMs: HOUR_MS / 2 })
    try {
      for (const engine of engines.slice(0, 1)) {
        const name = `${tenants.toLocaleString('en-US')} tenants`
        const input = { since: '1h' }
        // Each lists five content types, reads what there is, and ends.
        const round = await runFeed(bench, engine, service, { input, outputs: [{ type: 'discard', id: 'out' }] })
        board.add(`${name}: a round with its tokens and subscriptions`, 's', engine.name, round.wallMs / 1_000)
        board.add(`${name}: CPU time of that`, 's', engine.name, round.cpuMs / 1_000)
        const before = await service.status()
        let asked = 0
        const idle = await runFeed(bench, engine, service, {
          input: { ...input, until: undefined, poll_interval_ms: 20_000 },
          outputs: [{ type: 'discard', id: 'out' }],
          keepState: true,
          async during() {
            await new Promise(resolve => setTimeout(resolve, 75_000))
            asked = (await service.status()).requests - before.requests
            return 'SIGTERM'
          },
        })
        const settled = median(idle.course.slice(-80))
        rss.push(settled)
        board.add(`${name}, idle, asked every 20 s: RSS`, 'MB', engine.name, settled)
        board.add(`${name}, idle: requests in 75 s`, 'requests', engine.name, asked)
        board.add(`${name}, idle: CPU time in 75 s`, 's', engine.name, idle.cpuMs / 1_000)
      }
    } finally {
      await service.close()
    }
  }
  const [few = 0, many = 0] = rss
  board.add('memory of an idle tenant', 'kB', engines[0]?.name ?? '', ((many - few) * 1_048.576) / (1_000 - 10))
}

/** Bytes of the state for each blob: what waits, what is acknowledged. */
export async function feedLedger(bench: Bench): Promise<void> {
  const { board, engines, folder } = bench
  const blobs = 100_000
  const state = join(folder, 'ledger-state')
  const store = await openStore(state)
  const scope = 'feed/o365_activity'
  const rows = rowsIn(store, scope)
  const empty = (await stat(join(state, 'state.db'))).size
  const ledger = new Ledger(rows, '11111111-1111-1111-1111-111111111111')
  const begun = performance.now()
  for (let at = 0; at < blobs; at += 1_000) {
    const items = Array.from({ length: 1_000 }, (_, index) => {
      const number = String(at + index).padStart(6, '0')
      const id = `20260506123519728${number}$20260506124310160${number}$audit_exchange$Audit_Exchange$emea0029`
      const created = NOON + (at + index) * 1_000
      return {
        id,
        uri: `https://manage.office.com/api/v1.0/11111111-1111-1111-1111-111111111111/activity/feed/audit/${id}`,
        created,
        expires: created + 7 * 24 * HOUR_MS,
      }
    })
    await ledger.listed('Audit.Exchange', items)
    const fate = { at: 1_000_000, digest: 'x'.repeat(43), state: null, records: 700, ids: '1z141z4.1z141z4' }
    await rows.put(items.flatMap(item => ledger.closing(blobOf('Audit.Exchange', item), fate)))
  }
  const ms = performance.now() - begun
  await store.close()
  const { size } = await stat(join(state, 'state.db'))
  board.add('ledger: state of a million acknowledged blobs', 'MB', engines[0]?.name ?? '', ((size - empty) / blobs) * 1.0)
  board.add('ledger: rows of a blob, listed and closed', 'µs', engines[0]?.name ?? '', (ms * 1_000) / blobs)
}
