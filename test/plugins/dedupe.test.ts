// dedupe: reservations, restarts, expiry, and what happens when there are too many keys.

import t from 'tap'
import type { Context, Event, Filter, Gate, Hold, Rows, Site } from '../../core/plugin/interfaces.ts'
import type { Json } from '../../core/plugin/json.ts'
import dedupe from '../../plugins/filters/dedupe/index.ts'
import { FIRST, KeySet, RESERVED } from '../../plugins/filters/dedupe/key-set.ts'
import { fc } from '../kit/rounds.ts'

const HOUR = 3_600_000
const START = Date.parse('2026-01-01')

/** A store that outlives the filter, and a clock that stands until it is moved. */
class World {
  readonly rows = new Map<string, Json | Uint8Array>()
  readonly counts: Record<string, number> = {}
  readonly warnings: string[] = []
  written = 0
  now = START

  write(changes: readonly (readonly [string, Json | Uint8Array | null])[]): void {
    for (const [key, value] of changes) {
      if (value === null) this.rows.delete(key)
      else {
        this.rows.set(key, value)
        this.written += (value as Uint8Array).length
      }
    }
  }

  get bytes(): number {
    return [...this.rows.values()].reduce<number>((sum, value) => sum + (value as Uint8Array).length, 0)
  }

  async open(options: { expire_ms?: number; max_keys?: number } = {}): Promise<Run> {
    const filter = dedupe.create({ expire_ms: 8 * HOUR, max_keys: 100_000, ...options }, {} as Site) as Filter
    const rows = {
      list: async () => [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1)),
      put: async changes => this.write(changes),
    } as Pick<Rows, 'list' | 'put'> as Rows
    await filter.open?.({
      rows,
      clock: { now: () => this.now },
      log: { warn: (_: unknown, message: string) => this.warnings.push(message) },
      metrics: {
        count: (name: string, _: string, by = 1) => {
          this.counts[name] = (this.counts[name] ?? 0) + by
        },
        gauge: (name: string, _: string, value: number) => {
          this.counts[name] = value
        },
      },
    } as unknown as Context)
    return new Run(this, filter.gate as Gate)
  }
}

class Run {
  readonly #world: World
  readonly #gate: Gate

  constructor(world: World, gate: Gate) {
    this.#world = world
    this.#gate = gate
  }

  key(id: string): string {
    return this.#gate.key({ id, fields: {} } as unknown as Event) as string
  }

  /** `released` counts what the gate released of the repeats. */
  read(id: string, released: { count: number } = { count: 0 }): boolean {
    const hold: Hold = {
      release() {
        released.count++
      },
    }
    return this.#gate.admit(this.key(id), hold)
  }

  /** One commit: keys and rows together, then the news of it. */
  deliver(...ids: string[]): void {
    const keys = ids.map(id => this.key(id))
    this.#world.write(this.#gate.keep?.(keys) ?? [])
    for (const key of keys) this.#gate.settled?.(key, true)
  }

  fail(id: string): void {
    this.#gate.settled?.(this.key(id), false)
  }
}

t.test('a repeat of a delivered event is released at once', async t => {
  const run = await new World().open()
  t.ok(run.read('a'))
  run.deliver('a')
  const repeat = { count: 0 }
  t.notOk(run.read('a', repeat))
  t.equal(repeat.count, 1)
  t.ok(run.read('b'))
})

t.test('a repeat of an event on its way waits until that one is stored', async t => {
  const run = await new World().open()
  run.read('a')
  const repeats = { count: 0 }
  t.notOk(run.read('a', repeats))
  t.notOk(run.read('a', repeats))
  run.read('b')
  run.deliver('b')
  t.equal(repeats.count, 0, 'another event says nothing')
  run.deliver('a')
  t.equal(repeats.count, 2)
  t.notOk(run.read('a', repeats))
  t.equal(repeats.count, 3)
})

t.test('after a failure the repeats that wait are released, and the key is free again', async t => {
  const run = await new World().open()
  run.read('a')
  const repeat = { count: 0 }
  run.read('a', repeat)
  run.fail('a')
  t.equal(repeat.count, 1)
  t.ok(run.read('a'), 'sent again, it goes through')
  run.deliver('a')
  t.notOk(run.read('a'))
})

t.test('what was delivered before a restart is known after it, and what was only reserved is not', async t => {
  const world = new World()
  const before = await world.open()
  for (const id of ['a', 'b', 'c']) before.read(id)
  before.deliver('a', 'b')
  before.deliver('c')
  before.read('lost')
  const after = await world.open()
  t.same(
    ['a', 'b', 'c', 'lost'].map(id => after.read(id)),
    [false, false, false, true],
  )
  t.equal(world.counts['dedupe_keys'], 3)
  const many = Array.from({ length: 100 }, (_, i) => `e${i}`)
  for (const id of many) after.read(id)
  after.deliver('lost', ...many)
  for (const id of ['d', 'e', 'f']) {
    const run = await world.open()
    run.read(id)
    run.deliver(id)
  }
  const last = await world.open()
  t.same(
    ['a', 'b', 'c', 'lost', 'd', 'e', 'f', ...many].filter(id => last.read(id)),
    [],
  )
})

t.test('a key is remembered for its time, and at most an eighth longer', async t => {
  for (const restart of [false, true]) {
    const world = new World()
    let run = await world.open()
    run.read('a')
    run.deliver('a')
    world.now = START + 0.9 * HOUR
    run.read('b')
    run.deliver('b')
    for (const hours of [1, 7.9, 8.5]) {
      world.now = START + hours * HOUR
      if (restart) run = await world.open()
      t.notOk(run.read('b'), `${hours} hours`)
    }
    world.now = START + 9 * HOUR
    if (restart) run = await world.open()
    t.ok(run.read('a'), 'over')
    t.ok(run.read('b'), 'over')
    run.deliver('a')
    t.equal(world.bytes, 16, 'the old rows went with the next commit')
  }
})

t.test('a key that is delivered again after its time has its full time again', async t => {
  const world = new World()
  const run = await world.open()
  run.read('a')
  run.deliver('a')
  world.now += 9 * HOUR
  t.ok(run.read('a'))
  run.deliver('a')
  world.now += 8 * HOUR - 1
  t.notOk(run.read('a'))
})

t.test('a clock that was ahead leaves no key that never expires', async t => {
  const world = new World()
  world.now = Date.parse('2099-01-01')
  const ahead = await world.open()
  ahead.read('a')
  ahead.deliver('a')
  world.now = START
  const run = await world.open()
  t.notOk(run.read('a'))
  run.read('b')
  run.deliver('b')
  world.now = START + 10 * HOUR
  t.ok(run.read('a'))
  t.ok(run.read('b'))
})

t.test('with too many keys the oldest eighth goes, is counted, and leaves the rows too', async t => {
  const world = new World()
  let run = await world.open({ max_keys: 1000 })
  const pass = (from: number, to: number) => {
    for (let i = from; i < to; i += 25) {
      const ids = Array.from({ length: 25 }, (_, n) => `e${i + n}`)
      for (const id of ids) if (!run.read(id)) t.fail(`${id} was known`)
      run.deliver(...ids)
    }
  }
  pass(0, 1000)
  t.equal(world.counts['dedupe_evicted'], undefined)
  pass(1000, 1500)
  const evicted = world.counts['dedupe_evicted'] as number
  t.ok(evicted >= 500 && evicted <= 625, `${evicted} forgotten`)
  t.equal(world.counts['dedupe_keys'], 1500 - evicted)
  t.equal(world.bytes, (1500 - evicted) * 16)
  t.match(world.warnings[0], /larger max_keys/)
  for (const again of [false, true]) {
    if (again) run = await world.open({ max_keys: 1000 })
    t.same(
      [evicted, 1499].map(i => run.read(`e${i}`)),
      [false, false],
      'the newest are known',
    )
  }
  t.ok(run.read('e0'), 'the oldest is not')
  await world.open({ max_keys: 1000 - 375 })
  t.ok(world.bytes <= 625 * 16, 'a smaller max_keys holds from the next start on')
})

t.test('many small commits leave few rows, and each key is written a bounded number of times', async t => {
  const world = new World()
  const run = await world.open()
  let most = 0
  for (let i = 0; i < 5000; i++) {
    run.read(`e${i}`)
    run.deliver(`e${i}`)
    most = Math.max(most, world.rows.size)
  }
  t.ok(most < 20, `${most} rows`)
  t.ok(world.written < 5000 * 16 * 10, `${world.written / 5000 / 16} times`)
  t.equal(world.bytes, 5000 * 16)
  const again = await world.open()
  for (let i = 0; i < 5000; i++) if (again.read(`e${i}`)) t.fail(`e${i} was forgotten`)
})

t.test('rows that are not its own are refused, with what to do', async t => {
  for (const [key, value] of [
    ['x', new Uint8Array(16)],
    ['001767225600000.0000000001', new Uint8Array(17)],
    ['001767225600000.0000000001', 'text'],
  ] as const) {
    const world = new World()
    world.rows.set(key, value)
    await t.rejects(world.open(), { code: 'PEN_STATE', message: /reset the state of this step/ })
  }
})

t.test('keys are 16 bytes, and differ with the id, the fields and their values', async t => {
  const key = (options: object, event: object) =>
    (dedupe.create({ expire_ms: 1000, max_keys: 1000, ...options }, {} as Site) as Filter).gate?.key(event as Event)
  const fields = { a: 'x', b: 'x', c: 1 }
  const keys = [
    key({}, { id: 'x', fields }),
    key({}, { id: 'y', fields }),
    key({ fields: ['a'] }, { id: 'x', fields }),
    key({ fields: ['b'] }, { id: 'x', fields }),
    key({ fields: ['c'] }, { id: 'x', fields }),
    key({ fields: ['a', 'b'] }, { id: 'x', fields }),
  ]
  t.equal(new Set(keys).size, keys.length)
  for (const one of keys) t.match(one, /^[\0-\xff]{16}$/)
  t.equal(key({ fields: ['a'] }, { id: 'z', fields: { a: 'x' } }), keys[2])
  t.equal(key({ fields: ['a', 'd'] }, { id: 'x', fields }), undefined)
})

t.test('the set of keys says what a map would say, whatever is done to it', async () => {
  const id = fc.integer({ min: 0, max: 40 })
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constant('add' as const), id) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('move' as const), id) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('reserve' as const), id) },
    { weight: 2, arbitrary: fc.tuple(fc.constant('remove' as const), id) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('next' as const), id) },
    { weight: 1, arbitrary: fc.tuple(fc.constant('forget' as const), id) },
  )
  // All in one shard and on one way, so that they stand in each other's.
  const keyOf = (number: number) => `\0\0\0\0\xff\xff\xff\xff${String(number).padStart(8, '0')}`
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), steps => {
      const set = new KeySet()
      const map = new Map<number, number>()
      let generation = FIRST
      let oldest = FIRST
      for (const [what, number] of steps) {
        const before = map.get(number) ?? 0
        if (what === 'next') generation++
        else if (what === 'forget') {
          oldest = generation
          set.forget(oldest)
          for (const [key, value] of map) if (value < oldest) map.delete(key)
        } else if (what === 'remove') {
          set.remove(keyOf(number))
          map.delete(number)
        } else {
          const to = what === 'reserve' ? RESERVED : generation
          const got = what === 'move' ? set.move(keyOf(number), to) : set.add(keyOf(number), to)
          if (got !== before) return false
          if (before === 0 || what === 'move') map.set(number, to)
        }
      }
      return [...Array(41).keys()].every(number => set.add(keyOf(number), generation) === (map.get(number) ?? 0))
    }),
    { numRuns: 300 },
  )
})

t.test('the memory of the set follows the number of its keys', async t => {
  const set = new KeySet()
  const bytes = Buffer.alloc(16)
  let seed = 1
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed
  }
  const fill = (count: number, generation: number) => {
    for (let i = 0; i < count; i++) {
      for (let word = 0; word < 16; word += 4) bytes.writeUInt32LE((random() ^ (random() >>> 16)) >>> 0, word)
      set.addFrom(bytes, 0, generation)
    }
  }
  fill(100_000, FIRST)
  t.ok(set.bytes < 100_000 * 40, `${set.bytes} bytes for 100,000 keys`)
  const before = set.bytes
  for (let generation = 1; generation < 8; generation++) {
    set.forget(FIRST + generation)
    fill(100_000, FIRST + generation)
  }
  t.ok(set.bytes < before * 1.5, `${set.bytes} bytes after seven times as many were added and forgotten`)
})
