// npm run bench: the engine beside a bare loop, or beside another revision of itself, in the same rounds; one table at the end.
//   npm run bench                          file → ecs → file: CPU time, wall time, memory, the time to the first event
//   npm run bench -- --compare REV         the same of another revision, turn by turn, and the ratios
//   npm run bench -- --micro               the parts alone: framing, decoding, ecs, encoding, acks, commits
//   npm run bench -- --follow              how long a line of a followed file takes
//   npm run bench -- --gzip                memory over a large compressed input     [--gzip-mb 1000]
//   npm run bench -- --start --check       starting; checking a hundred pipelines
//   npm run bench -- --feed                the audit feed of a simulated tenant beside the file pipeline on its records
//   npm run bench -- --feed-budget --feed-blob --feed-tenants --feed-ledger --feed-users   what else a feed must show
//   npm run bench -- --outputs             what each output costs: a file, Elasticsearch, Kafka
//   npm run bench -- --large               ten times the records too, for the memory
//   npm run bench -- --all                 all of it
// [--records 100000] [--rounds 3]. CPU time is that of all threads, user and system. Times of a busy machine say little: look at ratios.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench } from './bench.ts'
import { Board } from './board.ts'
import { checkMany } from './check.ts'
import { engineOf, thisEngine } from './engines.ts'
import { feedBudget } from './feed/budget.ts'
import { feedBlob, feedLedger, feedTenants } from './feed/memory.ts'
import { feedThroughput } from './feed/throughput.ts'
import { feedUsers } from './feed/users.ts'
import { followLatency } from './follow.ts'
import { gzipMemory } from './gzip.ts'
import { outputCosts } from './outputs.ts'
import { parts } from './parts.ts'
import { BARE, large, startTime, throughput } from './pipeline.ts'

const flag = { type: 'boolean', default: false } as const
const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    'gzip-mb': { type: 'string', default: '1000' },
    compare: { type: 'string' },
    micro: flag,
    follow: flag,
    gzip: flag,
    start: flag,
    check: flag,
    large: flag,
    outputs: flag,
    feed: flag,
    'feed-budget': flag,
    'feed-blob': flag,
    'feed-tenants': flag,
    'feed-ledger': flag,
    'feed-users': flag,
    all: flag,
  },
})
const some =
  values.micro ||
  values.follow ||
  values.gzip ||
  values.start ||
  values.check ||
  values.outputs ||
  Object.entries(values).some(([name, on]) => on === true && name.startsWith('feed'))
const folder = await mkdtemp(join(tmpdir(), 'penstock-bench-'))
try {
  const engines = [thisEngine(folder)]
  if (values.compare !== undefined) engines.push(await engineOf(values.compare, folder))
  const board = new Board([...engines.map(({ name }) => name), BARE])
  const bench: Bench = { board, engines, rounds: Number(values.rounds), records: Number(values.records), folder }
  board.note(`Node ${process.version}, ${bench.rounds} rounds; of what is counted by the second more is better, of all else less`)
  if (!some || values.all) await throughput(bench)
  if (values.start || values.all) await startTime(bench)
  if (values.large || values.all) await large(bench)
  if (values.micro || values.all) await parts(bench)
  if (values.follow || values.all) await followLatency(bench)
  if (values.check || values.all) await checkMany(bench)
  if (values.gzip || values.all) await gzipMemory(bench, Number(values['gzip-mb']))
  if (values.outputs || values.all) await outputCosts(bench)
  const feeds = {
    feed: feedThroughput,
    'feed-budget': feedBudget,
    'feed-blob': feedBlob,
    'feed-tenants': feedTenants,
    'feed-ledger': feedLedger,
    'feed-users': feedUsers,
  } as const
  for (const [name, run] of Object.entries(feeds)) if (values[name as keyof typeof feeds] || values.all) await run(bench)
  board.print()
} finally {
  await rm(folder, { recursive: true, force: true })
}
