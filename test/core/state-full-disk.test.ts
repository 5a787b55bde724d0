// A full disk: positions can still be saved, dead letters say that they cannot be written, and a purge gives room back.
import { execFileSync } from 'node:child_process'
import { appendFileSync, closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { openStore } from '../../core/state/store.ts'
import { failure, letter, mountedDisk, rows, script, until, whyNoMount, whyNot } from '../fixtures/state/parts.ts'

const MB = 1024 * 1024

/** Writes until nothing more fits, and shows that. */
function fill(t: Test, disk: string, name: string): void {
  const file = openSync(join(disk, name), 'w')
  t.throws(
    () => {
      for (;;) writeSync(file, Buffer.alloc(64 * 1024))
    },
    { code: 'ENOSPC' },
  )
  closeSync(file)
  t.throws(() => appendFileSync(join(disk, `${name}2`), Buffer.alloc(64 * 1024)), { code: 'ENOSPC' })
  t.equal(statfsSync(disk).bavail, 0)
}

/** The store has taken the room that it keeps. */
function isWarm(folder: string): boolean {
  const size = (name: string) => statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  return size('state.db-wal') > 8 * MB && size('state.db') > 4 * MB && size('letters.db-wal') > 6 * MB
}

const skip = whyNoMount()

t.test(
  'rows 11, 12: with a full disk positions are saved for a good while, dead letters are refused, and nothing is lost',
  { skip },
  async t => {
    const disk = mountedDisk(t, '64m')
    const folder = join(disk, 'state')
    const store = await openStore(folder)
    const bytes = Buffer.alloc(2000, 'x')
    for (let n = 0; n < 8; n++) await store.letters.add(Array.from({ length: 500 }, () => letter({ bytes })))
    await until(() => isWarm(folder))
    await store.commit(rows('s', ['k', 0]))
    fill(t, disk, 'filler')

    const refused = await failure(store.letters.add(Array.from({ length: 2000 }, () => letter({ bytes }))))
    t.equal(refused.code, 'ENOSPC')
    t.match(refused.message, `state: cannot write dead letters in ${folder}: no space left on the disk (ENOSPC`)
    t.equal((await store.letters.counts())[0]?.count, 4000, 'nothing of them was written')

    for (let n = 1; n <= 2000; n++) {
      const positions = Array.from({ length: 50 }, (_, i) => ['p', 'in', `partition ${i}`, { n, path: 'y'.repeat(100) }] as const)
      await store.commit({ positions, rows: [['s', `row ${n}`, n]] })
    }
    t.equal((await store.list('s', 'row')).length, 2000, 'two thousand commits, new rows among them')
    t.same((await store.positions('p', 'in')).get('partition 49'), { n: 2000, path: 'y'.repeat(100) })
    t.equal(statfsSync(disk).bavail, 0, 'the disk was full all the time')

    t.equal(await store.letters.remove({ limit: 3000 }), 3000, 'letters can be removed')
    await store.letters.add(Array.from({ length: 500 }, () => letter({ bytes })))
    t.equal((await store.letters.counts())[0]?.count, 1500, 'and then there is room for others')
    await store.close()
    t.ok(statfsSync(disk).bavail > 0)
  },
)

t.test(
  'row 12: when even the kept room is used up, a commit is refused whole, and works again when there is room',
  { skip },
  async t => {
    const disk = mountedDisk(t, '40m')
    const folder = join(disk, 'state')
    const store = await openStore(folder)
    await until(() => isWarm(folder))
    fill(t, disk, 'filler')
    let stored = 0
    const blob = new Uint8Array(MB)
    const refused = await failure(
      (async () => {
        for (; stored < 60; stored++)
          await store.commit({ positions: [['p', 'in', 'a', stored]], rows: [['s', `blob ${stored}`, blob]] })
      })(),
    )
    t.equal(refused.code, 'ENOSPC')
    t.match(refused.message, `state: cannot save positions in ${folder}: no space left on the disk (ENOSPC)`)
    t.ok(stored >= 3, `${stored} MB were written before`)
    const consistent = async () => {
      t.equal((await store.positions('p', 'in')).get('a'), stored - 1)
      t.equal((await store.list('s', '')).length, stored)
    }
    await consistent()
    rmSync(join(disk, 'filler'))
    await store.commit({ positions: [['p', 'in', 'a', stored]], rows: [['s', `blob ${stored}`, blob]] })
    stored++
    await consistent()
    await store.close()
  },
)

t.test(
  'row 12: a log that a reader has kept from being emptied is emptied when the reader has gone, on a disk still full',
  { skip },
  async t => {
    const disk = mountedDisk(t, '40m')
    const folder = join(disk, 'state')
    const store = await openStore(folder)
    await until(() => isWarm(folder))
    await store.commit(rows('s', ['k', 0]))
    const reader = new DatabaseSync(join(folder, 'state.db'), { readOnly: true })
    reader.exec('BEGIN')
    reader.prepare('SELECT count(*) FROM rows').get()
    fill(t, disk, 'filler')
    // Never the same bytes twice: SQLite would leave the pages as they are.
    const changes = (n: number) => rows('s', ['k', n], ['blob', new Uint8Array(MB / 2).fill(n + 1)])
    let n = 0
    const refused = await failure(
      (async () => {
        for (; n < 40; n++) await store.commit(changes(n))
      })(),
    )
    t.equal(refused.code, 'ENOSPC')
    t.equal(await store.get('s', 'k'), n - 1)
    reader.close()
    await store.commit(changes(n))
    t.equal(await store.get('s', 'k'), n)
    t.equal(statfsSync(disk).bavail, 0)
    await store.close()
  },
)

t.test('row 11: a start on a full disk says that it is full', { skip }, async t => {
  const disk = mountedDisk(t, '24m')
  const folder = join(disk, 'state')
  await (await openStore(folder)).close()
  fill(t, disk, 'filler')
  for (const path of [folder, join(disk, 'new')]) {
    const { code, message } = await failure(openStore(path))
    t.equal(code, 'ENOSPC')
    t.match(message, /^state: cannot .* no space left on the disk \(ENOSPC\)/)
  }
  rmSync(join(disk, 'filler'))
  await (await openStore(folder)).close()
})

t.test('on a disk with little room none is taken, which is told, and the store works', { skip }, async t => {
  const disk = mountedDisk(t, '12m')
  const told: string[] = []
  const say = (_fields: object, line: string) => told.push(line)
  const store = await openStore(join(disk, 'state'), { log: { debug: say, info: say, warn: say, error: say } })
  await until(() => told.length > 0)
  t.match(told, [/^state: the disk of .* is nearly full: no room is kept/])
  await store.commit(rows('s', ['k', 1]))
  t.equal(await store.get('s', 'k'), 1)
  t.ok(statfsSync(disk).bavail * statfsSync(disk).bsize > 11 * MB)
  await store.close()
})

t.test('row 14: dead letters stop before the disk’s last byte, and a purge makes room for others', { skip }, async t => {
  const disk = mountedDisk(t, '48m')
  const folder = join(disk, 'state')
  const store = await openStore(folder)
  await until(() => isWarm(folder))
  const bytes = Buffer.alloc(20_000, 'x')
  const batch = Array.from({ length: 50 }, () => letter({ bytes }))
  let added = 0
  const refused = await failure(
    (async () => {
      for (; added < 60; added++) await store.letters.add(batch)
    })(),
  )
  t.equal(refused.code, 'ENOSPC')
  t.match(refused.message, `state: cannot write dead letters in ${folder}: no space left on the disk (ENOSPC`)
  t.ok(added > 8, `${added} batches were written before`)
  const all = async () => (await store.letters.counts())[0]?.count
  t.equal(await all(), added * 50)
  // Small ones would fill the log to its very end.
  for (let n = 0; n < 3000; n++) await store.letters.add([letter()]).catch(() => {})
  const count = await all()
  fill(t, disk, 'filler')
  const beside = await openStore(folder, { beside: true })
  t.equal(await beside.letters.remove({}), count)
  await beside.close()
  await store.letters.add(batch)
  t.equal(await all(), 50)
  await store.close()
})

const noLimit = whyNot('prlimit', '--fsize=1000000', 'true')
t.test(
  'row 18: a limit on the size of files is an error with a sentence, not the end of the process',
  { skip: noLimit },
  async t => {
    const folder = join(t.testdir(), 'state')
    const command = ['--fsize=2000000', 'env', 'NODE_OPTIONS=', process.execPath, script('committer.ts'), folder]
    const said = execFileSync('prlimit', command, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).split('\n')
    const last = said.findLast(line => line.startsWith('commit '))
    t.match(
      said.find(line => line.startsWith('PEN_')),
      /^PEN_STATE_IO state: cannot (save positions|write dead letters) in .*: a write was refused \(SQLITE_IOERR_WRITE\)/,
    )
    const store = await openStore(folder)
    t.ok(((await store.positions('p', 'in')).get('a') as { n: number }).n >= Number(last?.slice(7)))
    await store.close()
  },
)
