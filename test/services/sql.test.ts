// The output sql on real servers: each event is one row, whole, whatever is killed, and what cannot be a row is a dead letter.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { penstock, start } from '../kit/process.ts'
import { full, randomOf } from '../kit/rounds.ts'
import { during, MADE, MAPPING, onEach, PASSWORD_PLACE, record, records, rowsOf, write } from './sql-support.ts'

t.setTimeout(3_000_000)

const KILLS = full ? { records: 100_000, rate: 2_000, kills: 60 } : { records: 12_000, rate: 2_000, kills: 6 }
await onEach(t, async (t, fresh) => {
  await t.test('row 57: killed servers and killed engines leave each record in the tables once', async t => {
    const sql = await fresh(t)
    const folder = t.testdir({})
    const database = { ...sql.options, password: PASSWORD_PLACE }
    const output = { type: 'sql', ...database, layout: 'o365', record_column: 'AuditData', keep_matched_values: true }
    const file = (name: string, input: object, out: object) =>
      writeFileSync(
        join(folder, name),
        JSON.stringify({ name: 'kills', inputs: [input], outputs: [out], commit_interval_ms: 50 }),
      )
    const input = { type: 'generate', count: KILLS.records, users: 40, duplicates: 0.02 }
    file('kills.yaml', { ...input, rate: KILLS.rate }, { ...output, batch: { max_events: 200, max_ms: 50 } })
    file('all.yaml', input, { type: 'file', path: 'all.ndjson' })
    t.equal((await penstock(['setup', 'sql', 'kills.yaml'], { cwd: folder })).code, 0)

    const random = randomOf(61)
    let life = start(['run', 'kills.yaml', '--log-level', 'error'], { cwd: folder })
    t.teardown(() => life.child.kill('SIGKILL'))
    const kills = { server: 0, engine: 0 }
    for (let kill = 0; kill < KILLS.kills; kill++) {
      // Not too early for anything to be under way; the moment itself is left to chance.
      const over = await Promise.race([
        life.ended.then(() => true),
        new Promise<false>(resolve => setTimeout(resolve, 700 + random() * 700, false)),
      ])
      if (over) break
      if (kill % 2 === 0) {
        kills.server++
        await sql.server.kill()
        await sql.server.start()
      } else {
        kills.engine++
        life.child.kill('SIGKILL')
        await life.ended
        life = start(['run', 'kills.yaml', '--log-level', 'error'], { cwd: folder })
      }
    }
    const { code, stderr } = await life.ended
    t.equal(code, 0, stderr)
    t.comment(`${kills.server} kills of the server, ${kills.engine} of the engine`)
    t.ok(kills.server > 1 && kills.engine > 1)

    t.equal((await penstock(['run', 'all.yaml', '--log-level', 'error', '--state-dir', 'other'], { cwd: folder })).code, 0)
    const made = new Map<string, string>()
    for (const line of readFileSync(join(folder, 'all.ndjson'), 'utf8').trim().split('\n')) made.set(JSON.parse(line).Id, line)
    const stored = new Map<string, unknown>()
    let rows = 0
    for (const table of ['auditaad', 'auditexchange', 'auditsharepoint', 'auditgeneral']) {
      for (const [id, whole] of await sql.admin(`SELECT "Id", "AuditData" FROM ${table}`)) {
        rows++
        stored.set(String(id), whole)
      }
    }
    t.equal(rows, stored.size, 'no id is there twice')
    t.equal(stored.size, made.size, 'none is missing')
    t.notOk(
      [...made].find(([id, line]) => JSON.stringify(JSON.parse(line)) !== stored.get(id)),
      'each record is whole',
    )
  })

  await t.test(
    'row 52: bad rows among good ones are dead letters with what the database says, and the others arrive',
    async t => {
      const sql = await fresh(t)
      await sql.admin(MADE)
      const some = records(300)
      some[17] = record('0017', { who: 'a name of more than eight letters' })
      some[150] = record('0150', { n: 70_000 })
      some[151] = record('0151', { n: 'seven' })
      const { letters, figures } = await write(t, { ...sql.options, ...MAPPING }, some, { chunk: 300 })
      t.equal(letters.length, 3)
      t.match(
        letters.join('\n'),
        /t: (MySQL: Data too long for column 'who'|PostgreSQL: value too long for type character varying\(8\))/,
      )
      t.match(letters.join('\n'), /(Out of range value for column 'n'|out of range for type smallint)/)
      t.match(letters.join('\n'), /t\.n: "seven" is no whole number/)
      t.equal((await rowsOf(sql, 't')).length, 297)
      t.strictSame(figures.outputs[0]?.delivered, 297)
    },
  )

  await t.test('texts arrive as they are: quotes, NUL, emoji, much text, and what looks like SQL', async t => {
    const sql = await fresh(t)
    await sql.admin(
      'CREATE TABLE t ("id" varchar(64) NOT NULL PRIMARY KEY, "who" text, "n" int)'.replace(
        'text',
        sql.dialect.name === 'mysql' ? 'longtext' : 'text',
      ),
    )
    const texts = [
      `it's "quoted" \`and\` \\ back\\'slashed\\`,
      "'); DROP TABLE t; --",
      "' OR '1'='1' /*",
      '$1 ? :x @p0 %s {{x}} $' + '{y}',
      '🇨🇭 emoji 👩‍👩‍👧 and ünïcödé \u202e',
      'line\nbreak\r\n\ttab\u001a\b',
      'x'.repeat(1_500_000),
      '',
    ]
    const all = texts.map((who, index) => record(`${index}'; --`, { who }))
    const { letters } = await write(t, { ...sql.options, ...MAPPING }, [...all, record('nul', { who: 'a\0b' })])
    const stored = new Map((await rowsOf(sql, 't', '"id", "who"')).map(([id, who]) => [String(id), who]))
    for (const [index, text] of texts.entries()) t.equal(stored.get(`e${index}'; --`), text, JSON.stringify(text.slice(0, 40)))
    if (sql.dialect.name === 'postgres')
      t.match(letters[0], /t\.who: .* holds the character NUL, which no text in PostgreSQL can/)
    else t.equal(stored.get('enul'), 'a\0b')
    t.equal(letters.length, sql.dialect.name === 'postgres' ? 1 : 0)
  })

  await t.test(
    'a row that no statement can hold is a dead letter, and its neighbours arrive',
    { skip: packets(t.name) },
    async t => {
      const sql = await fresh(t)
      await sql.admin('CREATE TABLE t ("id" varchar(64) NOT NULL PRIMARY KEY, "who" longtext, "n" int)')
      const { letters } = await write(t, { ...sql.options, ...MAPPING }, [
        record(1),
        record(2, { who: 'x'.repeat(5_000_000) }),
        record(3),
      ])
      t.match(
        letters[0],
        /t: the row has 50\d+ bytes, more than one statement may have \(4128768; in MySQL see max_allowed_packet\)/,
      )
      t.strictSame((await rowsOf(sql, 't', '"id"', '1')).flat(), ['e1', 'e3'])
    },
  )

  await t.test('row 59: a row that is there stays as it is, or is written anew where that is asked for', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const twice = [record(1, { who: 'first' }), record(2), record(1, { who: 'second' })]
    await write(t, { ...sql.options, ...MAPPING }, twice)
    t.strictSame(await rowsOf(sql, 't', '"id", "who"'), [
      ['e1', 'first'],
      ['e2', 'ada'],
    ])
    await write(t, { ...sql.options, ...MAPPING, on_conflict: 'update' }, [...twice, record(2, { who: 'bo' })])
    t.strictSame(await rowsOf(sql, 't', '"id", "who"'), [
      ['e1', 'second'],
      ['e2', 'bo'],
    ])
  })

  await t.test('several connections at once deliver each event once', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const some = records(2_000)
    const config = { batch: { max_events: 50, max_bytes: 1 << 20, max_ms: 5 } }
    const { letters } = await write(t, { ...sql.options, ...MAPPING, connections: 6 }, [...some, ...some], { config })
    t.equal(letters.length, 0)
    t.equal((await rowsOf(sql, 't')).length, 2_000)
  })

  await t.test('values arrive as what their columns are', async t => {
    const sql = await fresh(t)
    const columns = {
      id: { field: 'event.id', type: 'string(64)' },
      whole: { field: 'a.whole', type: 'bigint' },
      part: { field: 'a.part', type: 'double' },
      yes: { field: 'a.yes', type: 'boolean' },
      happened: { field: '@timestamp', type: 'time' },
      list: { field: 'a.list', type: 'json' },
      everything: { field: '.', type: 'json' },
    }
    const folder = t.testdir({})
    const options = { ...sql.options, tables: [{ table: 'odd names', columns, key: 'id' }] }
    writeFileSync(
      join(folder, 'p.yaml'),
      JSON.stringify({
        name: 'p',
        inputs: [{ type: 'stdin' }],
        outputs: [{ type: 'sql', ...options, password: PASSWORD_PLACE }],
      }),
    )
    t.equal((await penstock(['setup', 'sql', 'p.yaml'], { cwd: folder })).code, 0)
    const one = {
      '@timestamp': '2026-05-01T09:12:33.123456+02:00',
      event: { id: 'x' },
      a: { whole: '9007199254740993', part: 0.1, yes: 'True', list: [1, { b: null }] },
    }
    const { letters } = await write(t, options, [one, { event: { id: 'y' } }])
    t.strictSame(letters, [])
    await during(sql, async (_, run) => {
      const { rows } = (await run('SELECT * FROM "odd names" ORDER BY 1')) as { rows: unknown[][] }
      const [id, whole, part, yes, happened, list, everything] = rows[0] as unknown[]
      t.strictSame([id, String(whole), Number(part)], ['x', '9007199254740993', 0.1])
      t.match(String(yes), /^(1|t)$/)
      t.equal(happened, '2026-05-01 07:12:33.123456')
      t.strictSame([JSON.parse(String(list)), JSON.parse(String(everything))], [one.a.list, one])
      t.strictSame(rows[1]?.slice(0, 6), ['y', null, null, null, null, null])
    })
  })
})

/** MySQL alone has packets that a row may be too large for. */
function packets(name: string): string | false {
  return name === 'postgres' ? 'PostgreSQL takes a gigabyte' : false
}
