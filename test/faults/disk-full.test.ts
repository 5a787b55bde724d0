// A disk that fills up under the running program: the output's, that of the positions, that of the dead letters, each by itself.
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { mountedDisk, whyNoMount } from '../fixtures/state/parts.ts'
import {
  acknowledged,
  command,
  deadLetters,
  type Engine,
  engine,
  events,
  feed,
  imbalances,
  lineCount,
  numbers,
  onlyFull,
  pipeline,
  positions,
  stages,
  until,
  wrong,
} from '../kit/limits.ts'
import { fill, loopDisk, room, whyNoLoop } from '../kit/mounts.ts'
import { full } from '../kit/rounds.ts'

t.setTimeout(140_000)
t.jobs = 8

const MB = 1 << 20
const skip = whyNoMount()

/** A pipeline that follows in.ndjson, with the output and the state directory where the test wants them. */
function following(t: Test, out: string, more: object = {}): { cwd: string; input: string } {
  const cwd = t.testdir({ 'in.ndjson': '' })
  pipeline(cwd, {
    inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
    outputs: [{ type: 'file', id: 'out', path: out, batch: { max_ms: 5 } }],
    http: { port: 0 },
    ...more,
  })
  return { cwd, input: join(cwd, 'in.ndjson') }
}

const noLoop = onlyFull || skip || whyNoLoop()
for (const [kind, why, disk] of [
  ['tmpfs', skip, (t: Test) => mountedDisk(t, '3m')],
  ['ext4', noLoop, (t: Test) => loopDisk(t, 3).path],
] as const) {
  t.test(
    `rows 11, 13: ${kind} of the output is full: inputs wait, the rest works, and it goes on by itself`,
    { skip: why },
    async t => {
      const disk1 = disk(t)
      const out = join(disk1, 'o.ndjson')
      const { cwd, input } = following(t, out, { in_flight_bytes: 500_000 })
      const filler = join(disk1, 'filler')
      writeFileSync(filler, Buffer.alloc(2 * MB))
      const running = engine(t, cwd)
      feed(input, 0, 2000, 1000)
      await until('the output told of it', () => running.told(/does not take events/) > 0)
      t.match(
        running.log().find(({ message }) => message.includes('does not take'))?.['error'],
        /^file: ENOSPC writing .*o\.ndjson: no space is left/,
      )
      t.ok(room(disk1) < 1100 * 1000, 'the disk is full')
      const atFull = lineCount(out)
      t.ok(atFull > 0 && atFull < 2000, `in the middle of the run: ${atFull} of 2000 were written`)
      const ready = await running.ask('/ready')
      t.equal(ready.status, 503)
      t.match(ready.body, /"step":"out","status":"degraded","why":"file: ENOSPC/)
      t.equal((await running.ask('/health')).status, 200)
      const before = (await running.counters()).get('penstock_output_events_total{pipeline="p",step="out",fate="retried"}') ?? 0
      await until(
        'it tries again',
        async () =>
          ((await running.counters()).get('penstock_output_events_total{pipeline="p",step="out",fate="retried"}') ?? 0) > before,
      )
      const read = (await running.counters()).get('penstock_events_total{pipeline="p",fate="read"}') ?? 0
      t.ok(read < 2000, `the input waits: ${read} were read`)
      t.same(await imbalances(running), [], 'the counts balance meanwhile')
      await until('what was delivered is acknowledged', () => acknowledged(join(cwd, 'state')) > 0)
      await until('what was torn is taken back', () => statSync(out).size === readFileSync(out, 'utf8').lastIndexOf('\n') + 1)

      rmSync(filler)
      await until('all is delivered', () => lineCount(out) >= 2000)
      feed(input, 2000, 2001)
      await until('a fresh event gets through', () => lineCount(out) >= 2001)
      t.same(wrong(numbers(out), 2001, true), [])
      t.equal((await running.ask('/ready')).status, 200)
      t.same(await imbalances(running), [])
      const { code, stderr } = await running.stop()
      t.equal(code, 0, stderr)
      t.equal(running.told(/does not take events/), 1, 'one line when it begins')
      t.equal(running.told(/takes events again/), 1, 'one line when it is over')
    },
  )
}

t.test('rows 11, 12: the disk of the state is full: positions are saved in the room that was kept', { skip }, async t => {
  const disk = mountedDisk(t, '64m')
  const state = join(disk, 'state')
  const { cwd, input } = following(t, 'o.ndjson', { commit_interval_ms: 1 })
  const out = join(cwd, 'o.ndjson')
  const running = engine(t, cwd, { args: ['run', 'p.yaml', '--state-dir', state] })
  feed(input, 0, 10)
  await until('the first are delivered', () => lineCount(out) === 10)
  await until('the room is taken', () => statSync(join(state, 'letters.db-wal')).size > 6 * MB)
  fill(disk)
  t.equal(room(disk), 0)
  const COUNT = full ? 200 : 30
  for (let n = 10; n < COUNT; n++) {
    feed(input, n, n + 1)
    await until('the next is delivered', () => lineCount(out) === n + 1)
  }
  await until('all of them are acknowledged', () => acknowledged(state) === statSync(input).size)
  t.equal(room(disk), 0, 'the disk was full all the time')
  t.equal((await running.ask('/ready')).status, 200)
  t.equal(running.log().filter(({ level }) => level !== 'info').length, 0, 'there is nothing to say')
  t.equal((await running.stop()).code, 0)
  t.same(wrong(numbers(out), COUNT, true), [])
})

/** Positions alone are overwritten in place; the keys of a dedupe filter need new room in state.db with each commit. */
async function untilNotSaved(running: Engine, input: string, out: string, times: number): Promise<void> {
  for (let n = lineCount(out); running.told(/positions cannot be saved/) < times; n += 300) {
    if (n > 30_000) throw new Error('the full disk takes everything')
    feed(input, n, n + 300)
    await until('the next are delivered', () => lineCount(out) === n + 300)
  }
}

t.test(
  'rows 12, 23: positions cannot be saved: events flow on, positions follow when there is room, and a stop need not wait for it',
  { skip },
  async t => {
    const disk = mountedDisk(t, '20m')
    const state = join(disk, 'state')
    const { cwd, input } = following(t, 'o.ndjson', { filters: [{ type: 'dedupe' }], grace_ms: 1000 })
    const out = join(cwd, 'o.ndjson')
    const args = ['run', 'p.yaml', '--state-dir', state]
    const running = engine(t, cwd, { args })
    const saved = () => acknowledged(state) === statSync(input).size
    feed(input, 0, 10)
    await until('the first are delivered and acknowledged', () => lineCount(out) === 10 && saved())
    let filler = fill(disk)
    t.equal(room(disk), 0)
    await untilNotSaved(running, input, out, 1)
    t.match(
      running.log().find(({ level }) => level === 'error')?.['error'],
      /cannot save positions in .*: no space left on the disk \(ENOSPC\)/,
    )
    t.match(await running.ask('/ready'), { status: 503, body: /"status":"degraded","why":"state: .*ENOSPC/ })
    const count = lineCount(out)
    feed(input, count, count + 300)
    await until('they flow on', () => lineCount(out) === count + 300)
    rmSync(filler)
    await until('they are saved', saved)
    t.equal((await running.ask('/ready')).status, 200)
    t.same(await imbalances(running), [])
    t.equal(running.told(/positions cannot be saved/), 1)
    t.equal(running.told(/positions are saved again/), 1)
    t.same(wrong(numbers(out), count + 300, true), [])

    filler = fill(disk)
    await untilNotSaved(running, input, out, 2)
    running.child.kill('SIGTERM')
    await until('it has ended', () => !running.running(), 20_000)
    t.equal((await running.ended).code, 0)
    rmSync(filler)
    const last = new Set(numbers(out)).size
    const again = engine(t, cwd, { args })
    feed(input, last, last + 1)
    await until('a fresh event gets through', () => numbers(out).includes(last))
    t.equal((await again.stop()).code, 0)
    t.same(wrong(numbers(out), last + 1), [])
  },
)

/** Two pipelines whose inputs have one line that becomes a dead letter: it cannot be read, or the output refuses its event. */
function withBadLines(t: Test, follow: boolean): { cwd: string; bad: Record<string, string>; delivered(name: string): number[] } {
  const bad = { read: '{"n":500,"torn', refused: JSON.stringify({ n: 500, event: { id: 'bad' }, name: 'folder' }) }
  const cwd = t.testdir()
  // Where the refused event is to be written, no file can be.
  mkdirSync(join(cwd, 'refused/folder.ndjson'), { recursive: true })
  for (const [name, line] of Object.entries(bad)) {
    writeFileSync(join(cwd, `${name}.ndjson`), `${events(0, 500, 100)}${line}\n${events(501, 1000, 100)}`)
    pipeline(
      cwd,
      {
        inputs: [{ type: 'file', paths: [`${name}.ndjson`], follow, poll_interval_ms: 20 }],
        outputs: [{ type: 'file', id: 'out', path: `${name}/%{name:-o}.ndjson`, batch: { max_ms: 5 } }],
        http: { port: 0 },
      },
      name,
    )
  }
  const delivered = (name: string) => [...new Set(numbers(join(cwd, name, 'o.ndjson')))].sort((a, b) => a - b)
  return { cwd, bad, delivered }
}

const others = Array.from({ length: 1000 }, (_, n) => n).filter(n => n !== 500)

t.test('row 14: no room for dead letters: pipelines stop, go on when there is room, and drop none', { skip }, async t => {
  const disk = mountedDisk(t, '24m')
  const state = join(disk, 'state')
  const { cwd, bad, delivered } = withBadLines(t, true)
  const filler = fill(disk, 6 * MB)
  const running = engine(t, cwd, { args: ['run', 'read.yaml', 'refused.yaml', '--state-dir', state] })
  for (const name of Object.keys(bad)) {
    const stopped = () => running.log().find(line => line.pipeline === name && line.message === 'pipeline failed')
    await until('it stopped', () => stopped() !== undefined)
    t.match(stopped(), { code: 'ENOSPC', error: /cannot write dead letters in .*: no space left on the disk \(ENOSPC/ })
  }
  t.same(deadLetters(state), [])
  rmSync(filler)
  t.same(positions(state), [], 'no position has moved over them')
  await until('both are written', () => deadLetters(state).length === 2)
  t.same(deadLetters(state).toSorted(), Object.values(bad).toSorted(), 'with their source bytes')
  t.same(stages(state), ['decode', 'output'])
  for (const name of Object.keys(bad)) {
    await until('all others are delivered', () => delivered(name).length >= others.length)
    t.same(delivered(name), others)
    feed(join(cwd, `${name}.ndjson`), 1000, 1001)
    await until('a fresh event gets through', () => delivered(name).includes(1000))
  }
  t.same(await imbalances(running), [])
  t.equal((await running.stop()).code, 0)
})

t.test(
  'row 14: the dead letters have reached their limit: nothing is dropped, and after a purge it goes on',
  { skip: onlyFull },
  async t => {
    const { cwd, bad, delivered } = withBadLines(t, false)
    t.equal((await command(t, cwd, 'state', 'reset', 'p')).code, 1, 'the files are made')
    // One letter that counts as much as all that may lie there: a gigabyte of real ones would only take longer.
    const letters = new DatabaseSync(join(cwd, 'state/letters.db'))
    letters.exec(`INSERT INTO letters (at, pipeline, step, stage, input, code, size, sum, tries, length, error, meta, bytes)
    VALUES ('2026-01-01T00:00:00.000Z', 'old', 'out', 'output', 'in', 'X', 1073741824, 0, 0, 0, 'old', '{}', x'')`)
    letters.close()
    const args = ['run', 'read.yaml', 'refused.yaml']
    const first = await engine(t, cwd, { args }).ended
    t.equal(first.code, 1)
    t.match(
      first.stderr,
      /the dead letters in .* have reached their limit of 1024 MiB: see why with `penstock dlq list`, then make room with `penstock dlq purge`/,
    )
    t.match(first.stderr, /pipeline failed too often and stays down/)
    t.same(positions(join(cwd, 'state')), [], 'no position has moved over them')
    t.same(deadLetters(join(cwd, 'state')), [''], 'the old letter is there, alone')
    t.equal((await command(t, cwd, 'dlq', 'purge', '--all')).code, 0)
    const second = await engine(t, cwd, { args }).ended
    t.equal(second.code, 0, second.stderr)
    t.same(deadLetters(join(cwd, 'state')).toSorted(), Object.values(bad).toSorted())
    for (const name of Object.keys(bad)) t.same(delivered(name), others)
  },
)
