// The file of a disk queue: what it keeps and gives back, how it is refused, set aside, shown and forgotten.
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { loadPipeline } from '../../core/config/load.ts'
import { openStore } from '../../core/state/store.ts'
import type { NewSlice, QueueFile, StateStore } from '../../core/state/types.ts'
import { quietLog } from '../kit/in-process.ts'
import { fill, loopDisk, room, whyNoLoop } from '../kit/mounts.ts'
import { penstock } from '../kit/process.ts'
import { until } from '../kit/until.ts'

const MIB = 1 << 20

t.setTimeout(240_000)

/** A slice of bytes that cannot be compressed. */
function slice(id: number, size = 1_000): NewSlice {
  const noise = () => new Uint8Array(randomBytes(size / 2))
  return { id, events: 2, head: `{"id":${id}}`, items: [noise()], source: [noise()] }
}
const slices = (from: number, to: number, size?: number) =>
  Array.from({ length: to - from }, (_, index) => slice(from + index, size))

async function opened(t: Test, folder: string, maxBytes = 64 * MIB): Promise<{ store: StateStore; queue: QueueFile }> {
  const store = await openStore(folder)
  t.teardown(() => store.close())
  const queue = await store.openQueue('p', 'siem', maxBytes, 10_000)
  t.teardown(() => queue.close())
  return { store, queue }
}

const ids = (found: readonly { readonly id: number }[]) => found.map(({ id }) => id)

t.test('slices come back as they were, in order and within the bytes asked for, also after a start', async t => {
  const folder = t.testdir({})
  const first = await opened(t, folder)
  const added = slices(1, 8)
  t.match(first.queue.start, { events: 0, bytes: 0, first: 1, next: 1, sent: 0 })
  t.match(await first.queue.write(added, []), { written: 7, events: 14 })
  t.match(await first.queue.write([], [3, 1]), { written: 0, events: 10 })
  t.match(await first.queue.write([], [3, 99]), { events: 10 }, 'what is gone already changes nothing')
  await first.queue.close()
  await first.store.close()

  const { queue } = await opened(t, folder)
  t.match(queue.start, { events: 10, first: 2, next: 8, sent: 10_000 })
  const found = await queue.read(2, Infinity)
  t.same(ids(found), [2, 4, 5, 6, 7])
  for (const { id, head, items } of found) {
    const { items: given, head: text, source } = added[id - 1]!
    t.equal(head, text)
    t.same(Buffer.from(items), Buffer.concat(given))
    t.same(Buffer.from((await queue.source(id)).bytes), Buffer.concat(source))
  }
  t.same(ids(await queue.read(4, 1)), [4], 'one always comes')
  t.same(ids(await queue.read(4, 600)), [4, 5])
  t.same(ids(await queue.read(8, Infinity)), [])
})

t.test('what has no room is not written, and what was removed makes room in the same transaction', async t => {
  const { queue } = await opened(t, t.testdir({}), 5_000)
  const { written, bytes } = await queue.write(slices(1, 10), [])
  t.equal(written, 4)
  t.ok(bytes <= 5_000, `${bytes}`)
  t.match(await queue.write([slice(5)], []), { written: 0, events: 8 })
  t.match(await queue.write([slice(5)], [1]), { written: 1, events: 8 })
  t.match(await queue.write([slice(6, 20_000)], [2, 3, 4, 5]), { written: 1, events: 2 }, 'an empty queue takes one of any size')
  t.match(await queue.write([slice(7, 20_000)], [6]), { written: 1 })
})

t.test('its file is its owner’s alone, and the room that a backlog took goes back to the disk', async t => {
  const folder = t.testdir({})
  const { queue } = await opened(t, folder, 1024 * MIB)
  const path = join(folder, 'queue-p.siem.db')
  for (let from = 1; from < 65; from += 16) await queue.write(slices(from, from + 16, MIB), [])
  const size = () => statSync(path).size
  t.ok(size() > 60 * MIB, `${size()} bytes`)
  for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  await queue.write(
    [],
    slices(1, 65, 2).map(({ id }) => id),
  )
  await until(
    async () => {
      await queue.write([], [])
      return size() < 40 * MIB
    },
    () => `${size()} bytes`,
  )
})

t.test('row 8: a slice that the disk has changed is refused with the way out, and reset keeps all others', async t => {
  const folder = t.testdir({})
  const first = await opened(t, folder)
  await first.queue.write(slices(1, 7), [])
  await first.queue.close()
  const db = new DatabaseSync(join(folder, 'queue-p.siem.db'))
  db.exec('UPDATE slices SET packed = CAST(substr(packed, 1, 700) || zeroblob(length(packed) - 700) AS BLOB) WHERE id = 4')
  db.exec('UPDATE slices SET events = 7 WHERE id = 6')
  db.close()
  const damaged = await first.store.openQueue('p', 'siem', MIB, 1)
  t.same(ids(await damaged.read(1, 1)), [1])
  await t.rejects(damaged.read(4, 1), {
    code: 'PEN_STATE_DAMAGED',
    message:
      /queue-p\.siem\.db is damaged \(slice 4\): .*`penstock state reset` set aside it, keep the events that can still be read/,
  })
  await t.rejects(damaged.source(6), { code: 'PEN_STATE_DAMAGED' })
  await damaged.close()
  const totals = new DatabaseSync(join(folder, 'queue-p.siem.db'))
  totals.exec('UPDATE totals SET events = 3')
  totals.close()
  await first.store.close()

  const said: string[] = []
  const say = (_fields: object, message: string) => void said.push(message)
  const store = await openStore(folder, { setAside: true, log: { ...quietLog, warn: say } })
  await store.close()
  t.match(said.join('\n'), /set aside as .*queue-p\.siem\.db\.damaged-.*\n.*8 events were taken over from .*; 2 slices/s)
  const { queue } = await opened(t, folder)
  t.match(queue.start, { events: 8, first: 1, next: 6, sent: Number.MAX_SAFE_INTEGER }, 'nobody knows which of them were sent')
  t.same(ids(await queue.read(1, Infinity)), [1, 2, 3, 5])
})

t.test('rows 9, 20: a file that is no queue is refused, and so is one of a newer version', async t => {
  const folder = t.testdir({
    'queue-p.siem.db': 'this is no database, but some text that is long enough for a header of one'.repeat(20),
  })
  const store = await openStore(folder, { setAside: false }).catch(error => error)
  t.match(store, { code: 'PEN_STATE_DAMAGED', message: /state\.db is missing/ }, 'positions were lost beside it')
  rmSync(join(folder, 'queue-p.siem.db'))
  const made = await opened(t, folder)
  await made.queue.close()
  writeFileSync(join(folder, 'queue-p.text.db'), 'no database'.repeat(100))
  await t.rejects(made.store.openQueue('p', 'text', 1, 1), { code: 'PEN_STATE_DAMAGED', message: /queue-p\.text\.db is damaged/ })
  const db = new DatabaseSync(join(folder, 'queue-p.siem.db'))
  db.exec('PRAGMA user_version = 99')
  db.close()
  await t.rejects(made.store.openQueue('p', 'siem', 1, 1), { code: 'PEN_STATE_NEWER' })
  t.match(await made.store.queues(), [
    { pipeline: 'p', output: 'siem', why: /state format 99/ },
    { pipeline: 'p', output: 'text', why: /is damaged/ },
  ])
})

t.test('beside an engine a queue can be seen and not be opened', async t => {
  const folder = t.testdir({})
  const { queue } = await opened(t, folder)
  await queue.write([slice(1)], [])
  const beside = await openStore(folder, { beside: true })
  t.teardown(() => beside.close())
  t.match(await beside.queues(), [{ pipeline: 'p', output: 'siem', events: 2 }])
  await t.rejects(beside.openQueue('p', 'siem', 1, 1), { code: 'PEN_STATE_BESIDE' })
  await t.rejects(beside.dropQueue('p', 'siem'), { code: 'PEN_STATE_BESIDE' })
})

const noLoop = whyNoLoop()

t.test(
  'row 11: on a full disk nothing is taken, what was delivered is removed, and with room it goes on',
  { skip: noLoop },
  async t => {
    const disk = loopDisk(t, 64)
    const folder = join(disk.path, 'state')
    mkdirSync(folder)
    const { queue } = await opened(t, folder)
    // It has taken the room that it keeps.
    await until(() => Number(statSync(join(folder, 'queue-p.siem.db-wal'), { throwIfNoEntry: false })?.size) > 5 * MIB)
    await queue.write(slices(1, 6, MIB), [])
    const filler = fill(disk.path)
    t.ok(room(disk.path) < 4096, `${room(disk.path)} bytes are left`)
    await t.rejects(queue.write([slice(6)], []), { code: 'ENOSPC', message: /no space left .*make room there/ })
    t.match(await queue.write([], [1, 2]), { events: 6 })
    t.match(await queue.write([], [3]), { events: 4 })
    t.same(ids(await queue.read(1, Infinity)), [4, 5])
    rmSync(filler)
    t.match(await queue.write([slice(6)], [4]), { written: 1, events: 4 })
    t.same(ids(await queue.read(1, Infinity)), [5, 6])
  },
)

// The program.

const pipeline = (queue: object | undefined, id = 'siem') =>
  JSON.stringify({
    name: 'p',
    inputs: [{ type: 'file', paths: ['in.ndjson'] }],
    // A folder in the place of the file: the output is down.
    outputs: [{ type: 'file', id, path: 'out.ndjson', ...(queue && { queue }) }],
    grace_ms: 1,
  })

t.test('what is left behind is told of by run, shown by state show, delivered when its output is back, or forgotten', async t => {
  const folder = t.testdir({
    'in.ndjson': '{"n":1}\n{"n":2}\n{"n":3}\n',
    'p.yaml': pipeline({ type: 'disk' }),
    'other.yaml': pipeline(undefined, 'new_siem'),
    'memory.yaml': pipeline({ type: 'memory' }),
  })
  const run = (...args: string[]) => penstock(args, { cwd: folder })
  const store = await openStore(join(folder, 'state'))
  const head = { input: 'file', meta: {}, tries: 0, again: false, ids: ['a', 'b'], lengths: [8, 8], records: [0, 1] }
  const items = Buffer.from('{"n":8}\n{"n":9}\n')
  const made = await store.openQueue('p', 'siem', MIB, 1)
  await made.write(
    [{ id: 1, events: 2, head: JSON.stringify({ ...head, sources: { from: [], kept: [] } }), items: [items], source: [] }],
    [],
  )
  await made.close()
  await store.close()

  const shown = await run('state', 'show')
  t.match(shown.stdout, /disk queue +events +size +oldest\np\/siem +2 +\d+ B +\d{4}-\d\d-\d\dT/)
  t.match(JSON.parse((await run('state', 'show', '--json')).stdout), { pipeline: 'p', output: 'siem', events: 2 })
  const checked = await run('check', 'other.yaml', '--state-dir', 'state')
  t.match(
    checked.stdout,
    /warning: the disk queue of output siem of pipeline p, which is not in the pipeline any more, holds 2 events/,
  )
  t.equal(checked.code, 0)
  t.notMatch((await run('check', 'p.yaml', '--state-dir', 'state')).stdout, 'warning')
  const renamed = await run('run', 'other.yaml')
  t.match(
    renamed.stderr,
    /disk queue of output siem of pipeline p, which is not in the pipeline any more, holds 2 events that were/,
  )
  t.match(
    (await run('run', 'memory.yaml')).stderr,
    /which has no disk queue any more, holds 2 events .*state reset p --step siem/,
  )
  t.notMatch(readFileSync(join(folder, 'out.ndjson'), 'utf8'), '"n":8')

  const whole = await run('state', 'reset', 'p')
  t.match(whole.stdout, /p: \d+ rows forgotten\n$/)
  t.match((await run('state', 'show', '--json')).stdout, '"events":2', 'a reset of the pipeline leaves what was not delivered')
  writeFileSync(join(folder, 'in.ndjson'), '')
  const back = await run('run', 'p.yaml')
  t.equal(back.code, 0, back.stderr)
  t.match(readFileSync(join(folder, 'out.ndjson'), 'utf8'), /\{"n":8\}\n\{"n":9\}\n$/)
  t.match(JSON.parse((await run('state', 'show', '--json')).stdout.split('\n').find(line => line.includes('"output"')) ?? ''), {
    events: 0,
  })
  t.notMatch((await run('run', 'other.yaml')).stderr, 'disk queue', 'an empty queue is not worth a word')
})

t.test('the events of a queue are forgotten when their output is named', async t => {
  const folder = t.testdir({})
  const { store, queue } = await opened(t, join(folder, 'state'))
  await queue.write(slices(1, 4), [])
  await queue.close()
  await store.close()
  const { stdout, code } = await penstock(['state', 'reset', 'p', '--step', 'siem'], { cwd: folder })
  t.equal(stdout, 'p/siem: 6 events in its disk queue forgotten\n')
  t.equal(code, 0)
  t.same(
    readdirSync(join(folder, 'state')).filter(name => name.startsWith('queue')),
    [],
  )
})

t.test('a pipeline says which outputs have a disk queue, and what only such a queue can have', async t => {
  const load = async (queue: object) => {
    const folder = t.testdir({ 'p.yaml': pipeline(queue) })
    return (await loadPipeline(join(folder, 'p.yaml'))).config.outputs[0]?.queue
  }
  t.same(await load({ type: 'disk' }), { max_bytes: 2 ** 30 })
  t.same(await load({ type: 'disk', max_bytes: 5 }), { max_bytes: 5 })
  t.equal(await load({ type: 'memory' }), undefined)
  await t.rejects(load({ max_bytes: 5 }), /only a disk queue has a max_bytes: add type: disk/)
  await t.rejects(load({ type: 'tape' }), /memory.*disk/)
})
