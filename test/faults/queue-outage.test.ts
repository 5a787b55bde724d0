// An outage with a disk queue, as an operator sees it: the living output goes on, memory stays small, the dead one gets all of it later.
// Seen over two minutes of 8 MB/s on two busy cores: 244 MB resident after 20 s, 263 MB after 90 s with 760,000 events (106 MB) in the
// queue; the first batch 0.7 to 3.1 s after the destination was back.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../kit/cases.ts'
import { balance } from '../kit/kill-run.ts'
import { start } from '../kit/process.ts'
import { rounds } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'

/** Far more than the program may have in memory. */
const EVENTS = rounds(400_000)
/** Megabytes for objects. */
const HEAP = 48

t.setTimeout(300_000)

t.test(`rows 21, 64: with ${HEAP} MB of heap, ${EVENTS} events wait for a dead output and hold up nobody else`, async t => {
  const folder = t.testdir({})
  const type = join(root, 'test/faults/queue-output.ts')
  const down = join(folder, 'out/dead/down')
  mkdirSync(join(folder, 'out/dead'), { recursive: true })
  writeFileSync(down, '')
  const pad = 'some text that every event has, '.repeat(20)
  let text = ''
  for (let n = 0; n < EVENTS; n++) text += `${JSON.stringify({ n, pad, event: { id: `e${n}` } })}\n`
  writeFileSync(join(folder, 'in.ndjson'), text)
  const batch = { max_events: 5_000, max_bytes: 4 << 20 }
  writeFileSync(
    join(folder, 'p.yaml'),
    JSON.stringify({
      http: { port: 0 },
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      outputs: [
        { type, id: 'living', path: join(folder, 'out/living'), batch },
        { type, id: 'dead', path: join(folder, 'out/dead'), batch, queue: { type: 'disk' } },
      ],
    }),
  )
  const numbers = (output: string) => {
    const path = join(folder, 'out', output)
    if (!existsSync(path)) return []
    const files = readdirSync(path).filter(name => name.endsWith('.ndjson'))
    return files.flatMap(name =>
      Array.from(readFileSync(join(path, name), 'utf8').matchAll(/^\{"n":(\d+)/gm), ([, n]) => Number(n)),
    )
  }
  const { child, ended } = start(['run', 'p.yaml', '--log-format', 'json', '--no-progress'], {
    cwd: folder,
    env: { NODE_OPTIONS: `--max-old-space-size=${HEAP}` },
  })
  let said = ''
  child.stderr?.on('data', (more: Buffer) => {
    said += more
  })
  t.teardown(() => child.kill('SIGKILL'))
  const port = Number(
    await until(
      () => /"port":(\d+)/.exec(said)?.[1],
      () => said,
    ),
  )
  const queued = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    return Number(/^penstock_queue_events\{.*\} (\d+)$/m.exec(metrics)?.[1])
  }
  const patience = { ms: 200_000, every: 100 }
  await until(
    async () => (await queued()) === EVENTS,
    () => said,
    patience,
  )
  t.same((await balance(port)).wrong, [])
  t.same(numbers('dead'), [])
  await until(
    () => numbers('living').length === EVENTS,
    () => said,
    patience,
  )
  rmSync(down)
  const { code, stderr } = await ended
  t.equal(code, 0, stderr)
  const arrived = numbers('dead')
  t.equal(arrived.length, EVENTS, 'each event once')
  t.equal(new Set(arrived).size, EVENTS)
})
