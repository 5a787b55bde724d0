// Older, newer, foreign, damaged and lost files: brought up to date, refused with the ways out, or set aside.
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { openDatabase } from '../../core/state/database.ts'
import type { Format } from '../../core/state/formats.ts'
import { openStore } from '../../core/state/store.ts'
import { failure, letter, position, rows } from '../fixtures/state/parts.ts'

const PAGE = 4096

function raw<T>(path: string, work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path)
  try {
    return work(db)
  } finally {
    db.close()
  }
}
const version = (path: string) => raw(path, db => db.prepare('PRAGMA user_version').get()?.['user_version'])

/** Overwrites a page with what is no page. */
function spoil(path: string, page: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(PAGE, 0xa5), 0, PAGE, page * PAGE)
  closeSync(file)
}

/** A folder with positions and dead letters in it. */
async function filled(folder: string, letters = 0): Promise<void> {
  const store = await openStore(folder)
  for (let n = 0; n < 20; n++) {
    await store.commit({
      positions: [['p', 'in', `partition ${n}`, 'x'.repeat(900)]],
      rows: [['p/in', `key ${n}`, 'y'.repeat(900)]],
    })
  }
  for (let n = 0; n < letters; n += 50) {
    const batch = Array.from({ length: 50 }, (_, index) => letter({ bytes: Buffer.from(`letter ${n + index + 1} `.repeat(90)) }))
    await store.letters.add(batch)
  }
  await store.close()
}

const FORMAT: Format = {
  applicationId: 0x50454e7f,
  before: '',
  migrations: [
    'CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT',
    `ALTER TABLE fruit ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'`,
    `CREATE TABLE trees (name TEXT); INSERT INTO trees SELECT name || ' tree' FROM fruit`,
  ],
}

/** A file as the first format had it, written by hand. */
function oldFile(path: string): void {
  raw(path, db =>
    db.exec(`PRAGMA application_id = 0x50454e7f; PRAGMA user_version = 1;
      CREATE TABLE fruit (name TEXT PRIMARY KEY) STRICT; INSERT INTO fruit VALUES ('apple'), ('plum')`),
  )
}

t.test('an older file gets every migration that it lacks, in order, and keeps its rows', async t => {
  const path = join(t.testdir(), 'old.db')
  oldFile(path)
  const db = openDatabase(path, FORMAT, false)
  t.same(
    db
      .prepare('SELECT name, colour FROM fruit ORDER BY name')
      .all()
      .map(row => ({ ...row })),
    [
      { name: 'apple', colour: 'red' },
      { name: 'plum', colour: 'red' },
    ],
  )
  t.equal(db.prepare('SELECT count(*) AS n FROM trees').get()?.['n'], 2)
  db.close()
  t.equal(version(path), 3)
  openDatabase(path, FORMAT, false).close()
  t.equal(
    raw(path, again => again.prepare('SELECT count(*) AS n FROM trees').get()?.['n']),
    2,
    'a migration runs once',
  )
})

t.test('a migration that fails leaves the file as it was', async t => {
  const path = join(t.testdir(), 'old.db')
  oldFile(path)
  const broken: Format = {
    ...FORMAT,
    migrations: [...FORMAT.migrations.slice(0, 2), 'CREATE TABLE trees (name TEXT); INSERT INTO nowhere VALUES (1)'],
  }
  t.throws(() => openDatabase(path, broken, false), /nowhere/)
  t.equal(version(path), 1)
  t.same(
    raw(path, db =>
      db
        .prepare("SELECT name FROM pragma_table_info('fruit')")
        .all()
        .map(row => row['name']),
    ),
    ['name'],
  )
  openDatabase(path, FORMAT, false).close()
  t.equal(version(path), 3)
})

t.test('row 20: beside an engine an older file is refused and not migrated', async t => {
  const path = join(t.testdir(), 'old.db')
  oldFile(path)
  t.throws(() => openDatabase(path, FORMAT, true), {
    code: 'PEN_STATE_OLDER',
    message: /has state format 1, this program works on 3/,
  })
  t.equal(version(path), 1)
})

t.test('row 20: a newer file is refused with both versions, and not touched', async t => {
  for (const name of ['state.db', 'letters.db']) {
    const folder = join(t.testdir(), 'state')
    const path = join(folder, name)
    await filled(folder)
    raw(path, db => db.exec('PRAGMA user_version = 4'))
    const bytes = readFileSync(path)
    for (const options of [{}, { beside: true }, { setAside: true }]) {
      const { code, message } = await failure(openStore(folder, options))
      t.equal(code, 'PEN_STATE_NEWER')
      t.match(message, `state: ${path} has state format 4, this program reads 1 to 1:`)
    }
    t.ok(readFileSync(path).equals(bytes))
    t.same(
      readdirSync(folder).filter(file => file.includes('damaged')),
      [],
    )
  }
})

t.test('row 9: a file that is no SQLite file, or not one of Penstock’s, is refused and not touched', async t => {
  const folder = join(t.testdir(), 'state')
  for (const [name, spoilIt, what] of [
    [
      'state.db',
      (path: string) => writeFileSync(path, 'these are my notes\n'.repeat(500)),
      'is damaged, or no SQLite file at all',
    ],
    [
      'letters.db',
      (path: string) => writeFileSync(path, 'these are my notes\n'.repeat(500)),
      'is damaged, or no SQLite file at all',
    ],
    ['state.db', (path: string) => raw(path, db => db.exec('PRAGMA application_id = 1')), 'is not a file of Penstock'],
    ['state.db', (path: string) => raw(path, db => db.exec('PRAGMA application_id = 0x50454e32')), 'not under its own name'],
  ] as const) {
    rmSync(folder, { recursive: true, force: true })
    await filled(folder)
    const path = join(folder, name)
    spoilIt(path)
    const bytes = readFileSync(path)
    const { code, message } = await failure(openStore(folder))
    t.equal(code, 'PEN_STATE_DAMAGED')
    t.match(message, `state: ${path} `)
    t.match(message, what)
    t.match(message, 'restore it from a backup, or let `penstock state reset` set aside it')
    t.ok(readFileSync(path).equals(bytes))
  }
})

t.test('row 10: damaged positions are refused; set aside, the folder begins anew and the damaged file stays', async t => {
  const folder = join(t.testdir(), 'state')
  await filled(folder, 50)
  const path = join(folder, 'state.db')
  const page = raw(path, db =>
    Number(db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'positions'").get()?.['rootpage']),
  )
  spoil(path, page - 1)
  const bytes = readFileSync(path)
  const { code, message } = await failure(openStore(folder))
  t.equal(code, 'PEN_STATE_DAMAGED')
  t.match(message, `state: ${path} is damaged`)
  t.match(message, 'every input is then read from its beginning')
  t.notMatch(message, /partition|xxx|yyy/)
  t.ok(readFileSync(path).equals(bytes))

  const told: string[] = []
  const say = (_fields: object, line: string) => told.push(line)
  const store = await openStore(folder, { setAside: true, log: { debug: say, info: say, warn: say, error: say } })
  t.same(await store.allPositions(), [])
  t.equal((await store.letters.list({})).length, 50, 'the dead letters are not touched')
  await store.commit(position('a', 1))
  await store.close()
  const aside = readdirSync(folder).find(name => name.startsWith('state.db.damaged-')) ?? ''
  t.ok(readFileSync(join(folder, aside)).equals(bytes))
  t.match(told.join(), `is set aside as ${join(folder, aside)}`)
  await (await openStore(folder)).close()
})

t.test('row 8: a damaged dead letter file is refused; set aside, the letters that can be read are taken over', async t => {
  const folder = join(t.testdir(), 'state')
  await filled(folder, 300)
  const path = join(folder, 'letters.db')
  const before = await openStore(folder)
  await before.letters.remove({ after: 290 })
  await before.close()
  const pages = statSync(path).size / PAGE
  for (let page = Math.floor(pages / 2); page < pages / 2 + 8; page++) spoil(path, page)
  const { code, message } = await failure(openStore(folder))
  t.equal(code, 'PEN_STATE_DAMAGED')
  t.match(message, 'keep the dead letters that can still be read')

  const store = await openStore(folder, { setAside: true })
  t.teardown(() => store.close())
  const kept = await store.letters.list({})
  t.ok(kept.length > 200 && kept.length < 290, `${kept.length} of 290 are kept`)
  for (const { id, bytes } of kept) t.match(Buffer.from(bytes).toString(), new RegExp(`^letter ${id} `))
  t.equal((await store.letters.counts())[0]?.count, kept.length)
  await store.letters.add([letter()])
  t.equal((await store.letters.list({ after: 290 })).at(-1)?.id, 301, 'an id is not given a second time')
  t.equal((await store.allPositions()).length, 20, 'the positions are not touched')
})

t.test('row 8: a dead letter file that cannot be read at all is set aside too', async t => {
  const folder = join(t.testdir(), 'state')
  await filled(folder, 50)
  spoil(join(folder, 'letters.db'), 0)
  t.equal((await failure(openStore(folder))).code, 'PEN_STATE_DAMAGED')
  const store = await openStore(folder, { setAside: true })
  t.same(await store.letters.list({}), [])
  await store.letters.add([letter()])
  await store.close()
})

t.test('row 9: lost positions are not begun anew in silence, lost dead letters are told of', async t => {
  for (const lose of [rmSync, (path: string) => truncateSync(path, 0)]) {
    const folder = join(t.testdir(), 'state')
    await filled(folder, 50)
    lose(join(folder, 'state.db'))
    const { code, message } = await failure(openStore(folder))
    t.equal(code, 'PEN_STATE_DAMAGED')
    t.match(message, `state: ${join(folder, 'state.db')} is missing or empty although other files of it are there`)
    t.match(await failure(openStore(folder)), { code }, 'also the second time')
    const store = await openStore(folder, { setAside: true })
    t.same(await store.allPositions(), [])
    t.equal((await store.letters.list({})).length, 50)
    await store.commit(position('a', 1))
    await store.close()

    lose(join(folder, 'letters.db'))
    const told: string[] = []
    const say = (_fields: object, line: string) => told.push(line)
    const again = await openStore(folder, { log: { debug: say, info: say, warn: say, error: say } })
    t.match(told, [/letters\.db is missing; an empty one is begun/])
    t.equal((await again.allPositions()).length, 1)
    await again.close()
  }
})

t.test('a folder whose making was cut off is made to its end', async t => {
  const folder = t.testdir({ 'state.db': '', 'lock.db': '' })
  const store = await openStore(folder)
  await store.commit(rows('s', ['k', 1]))
  t.equal(await store.get('s', 'k'), 1)
  await store.close()
  rmSync(join(folder, 'letters.db'))
  const again = await openStore(folder)
  t.equal(await again.get('s', 'k'), 1)
  await again.letters.add([letter()])
  await again.close()
})

t.test('beside an engine nothing is created: what is not there is named', async t => {
  const folder = t.testdir()
  const { code, message } = await failure(openStore(join(folder, 'none'), { beside: true }))
  t.equal(code, 'PEN_STATE_MISSING')
  t.match(message, `state: there is no state.db in ${join(folder, 'none')}: name the folder`)
  t.same(readdirSync(folder), [])
})
