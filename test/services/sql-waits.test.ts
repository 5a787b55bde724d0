// The output sql on real servers that cannot take events for a time, or not as they are: it waits, says why, and loses none.
import { writeFileSync } from 'node:fs'
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { inProcess, listInput } from '../kit/in-process.ts'
import { until } from '../kit/until.ts'
import { MADE, MAPPING, onEach, outputOf, records, rowsOf, secretFile, siteWith, whyOf, write } from './sql-support.ts'

t.setTimeout(600_000)

await onEach(t, async (t, fresh) => {
  await t.test('a lock that somebody holds is waited for, and a lock timeout costs no event', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    if (sql.dialect.name === 'mysql') await sql.admin('SET GLOBAL innodb_lock_wait_timeout = 1')
    else await sql.admin(`ALTER DATABASE ${sql.database} SET lock_timeout = '200ms'`)
    const held = await sql.connect()
    await held.begin()
    await held.run("INSERT INTO t VALUES ('e0007', 'held', 2)")
    const output = await outputOf({ ...sql.options, ...MAPPING })
    const { pipeline, health, store } = inProcess({
      inputs: { in: listInput(records(20)) },
      outputs: { out: { output: () => output } },
    })
    const running = pipeline.run()
    const why = await whyOf(health)
    t.match(why, /Lock wait timeout exceeded|canceling statement due to lock timeout/)
    await held.rollback()
    await held.close()
    t.equal((await running).status, 'ended')
    t.equal((await store.letters.list({})).length, 0)
    t.equal((await rowsOf(sql, 't')).length, 20)
    if (sql.dialect.name === 'mysql') await sql.admin('SET GLOBAL innodb_lock_wait_timeout = 50')
  })

  await t.test('a deadlock costs no event', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const other = await sql.connect()
    await other.begin()
    await other.run(`INSERT INTO t VALUES ('e0009', 'other', 2)`)
    const output = await outputOf({ ...sql.options, ...MAPPING })
    const { pipeline, store } = inProcess({
      inputs: { in: listInput(records(10), 10) },
      outputs: { out: { output: () => output, config: { batch: { max_events: 10, max_bytes: 1 << 20, max_ms: 5 } } } },
    })
    const running = pipeline.run()
    // The batch has e0000 to e0007 in its first statement, and waits for e0009.
    const waiting =
      sql.dialect.name === 'mysql'
        ? "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        : `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '${sql.database}'`
    await until(async () => (await sql.admin(waiting)).length > 0)
    const mine = await other.run(`INSERT INTO t VALUES ('e0000', 'other', 2)`).then(
      () => 'done',
      (error: Error) => error.message,
    )
    await other.rollback()
    await other.close()
    const { figures } = await running
    t.ok(/[Dd]eadlock/.test(mine) || (figures.outputs[0]?.retried ?? 0) > 0, `there was a deadlock: ${mine}`)
    t.equal((await store.letters.list({})).length, 0)
    const [counts] = await rowsOf(sql, 't', 'count(*), count(DISTINCT "who")', '1')
    t.strictSame(counts?.map(Number), [10, 1])
  })

  await t.test('row 56: a wrong password is waited with, and the right one in the file is found', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const file = secretFile(t, 'wrong')
    const output = await outputOf({ ...sql.options, ...MAPPING, password: 'wrong' }, siteWith({ wrong: file }))
    const { pipeline, health, store } = inProcess({
      inputs: { in: listInput(records(20)) },
      outputs: { out: { output: () => output } },
    })
    const running = pipeline.run()
    const why = await whyOf(health)
    t.match(why, /(Access denied for user|password authentication failed).*look at user and password/)
    writeFileSync(file, `${sql.options['password']}\n`)
    t.equal((await running).status, 'ended')
    t.equal((await store.letters.list({})).length, 0)
    t.equal((await rowsOf(sql, 't')).length, 20)
  })

  await t.test(
    'row 61: a certificate that nobody vouches for is refused, with what to do, unless that is switched off',
    async t => {
      const sql = await fresh(t)
      await sql.admin(MADE)
      const refused = async (options: JsonObject) => {
        const output = await outputOf({ ...sql.options, ...MAPPING, tls: true, ...options })
        const { pipeline, health } = inProcess({
          inputs: { in: listInput(records(3)) },
          outputs: { out: { output: () => output } },
          config: { grace_ms: 50 },
        })
        const running = pipeline.run()
        const why = await whyOf(health)
        pipeline.stop()
        await running
        t.equal((await rowsOf(sql, 't')).length, 0)
        return why
      }
      t.match(await refused({ host: 'localhost' }), /its certificate is signed by itself: name its PEM file with ca/)
      const { cert: ca } = sql.server
      if (sql.dialect.name === 'postgres')
        t.match(await refused({ host: '127.0.0.1', ca }), /write the host as its certificate has it/)
      await write(t, { ...sql.options, ...MAPPING, host: 'localhost', tls: true, ca }, records(3))
      t.equal((await rowsOf(sql, 't')).length, 3)
      const { warnings } = await write(t, { ...sql.options, ...MAPPING, tls: true, tls_insecure: true }, records(5))
      t.equal((await rowsOf(sql, 't')).length, 5)
      t.match(warnings.join(), /tls_insecure: the certificate of the server is not checked/)
    },
  )

  await t.test('row 56: a missing right is waited for', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const user = `writer_${sql.database}`
    const mine = sql.dialect.name === 'mysql' ? `'${user}'@'127.0.0.1'` : user
    const password = String(sql.options['password'])
    await sql.admin(
      sql.dialect.name === 'mysql'
        ? `CREATE USER ${mine} IDENTIFIED BY '${password}'`
        : `CREATE ROLE ${mine} LOGIN PASSWORD '${password}'`,
    )
    await sql.admin(`GRANT SELECT ON t TO ${mine}`)
    const output = await outputOf({ ...sql.options, ...MAPPING, user })
    const { pipeline, health, store } = inProcess({
      inputs: { in: listInput(records(20)) },
      outputs: { out: { output: () => output } },
    })
    const running = pipeline.run()
    t.match(await whyOf(health), /give the user the right to SELECT, INSERT and UPDATE there/)
    await sql.admin(`GRANT INSERT, UPDATE ON t TO ${mine}`)
    t.equal((await running).status, 'ended')
    t.equal((await store.letters.list({})).length, 0)
    t.equal((await rowsOf(sql, 't')).length, 20)
  })

  await t.test('row 54: a missing table is waited for, with a sentence that says what makes it', async t => {
    const sql = await fresh(t)
    const output = await outputOf({ ...sql.options, ...MAPPING })
    const { pipeline, health, store } = inProcess({
      inputs: { in: listInput(records(20)) },
      outputs: { out: { output: () => output } },
    })
    const running = pipeline.run()
    const why = await whyOf(health)
    t.match(why, /there is no table t in test_\d+ on 127\.0\.0\.1, .*; penstock setup sql makes the tables/)
    await sql.admin(MADE)
    t.equal((await running).status, 'ended')
    t.equal((await store.letters.list({})).length, 0)
    t.equal((await rowsOf(sql, 't')).length, 20)
  })

  await t.test('a table that goes away and comes back, and a column, are waited for', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const output = await outputOf({ ...sql.options, ...MAPPING })
    let more: () => void = () => {}
    const gate = new Promise<void>(resolve => {
      more = resolve
    })
    const { pipeline, health, store } = inProcess({
      inputs: {
        in: {
          async *read(positions, signal) {
            yield* listInput(records(20)).read(positions, signal)
            await gate
            yield* listInput(records(40)).read(positions, signal)
          },
        },
      },
      outputs: { out: { output: () => output } },
    })
    const running = pipeline.run()
    await until(async () => (await rowsOf(sql, 't')).length === 20)
    await sql.admin('ALTER TABLE t DROP COLUMN "n"')
    more()
    const why = await whyOf(health)
    t.match(why, /(Unknown column 'n'|column "n" of relation "t" does not exist|it has no column n)/)
    await sql.admin('ALTER TABLE t ADD COLUMN "n" int')
    t.equal((await running).status, 'ended')
    t.equal((await store.letters.list({})).length, 0)
    t.equal((await rowsOf(sql, 't')).length, 40)
  })

  await t.test('row 57: a server that falls silent is given up, and each event arrives once when it speaks again', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const output = await outputOf({ ...sql.options, ...MAPPING, timeout_ms: 1_000, connect_timeout_ms: 500 })
    const { pipeline, health, store } = inProcess({
      inputs: { in: listInput(records(50)) },
      outputs: { out: { output: () => output } },
    })
    sql.server.pause()
    const running = pipeline.run()
    const why = await whyOf(health)
    t.match(why, /127\.0\.0\.1|timeout|ETIMEDOUT/i)
    sql.server.resume()
    t.equal((await running).status, 'ended')
    t.equal((await store.letters.list({})).length, 0)
    t.equal((await rowsOf(sql, 't')).length, 50)
  })

  await t.test('a connection that the server has closed meanwhile is replaced unseen', async t => {
    const sql = await fresh(t)
    await sql.admin(MADE)
    const output = await outputOf({ ...sql.options, ...MAPPING })
    let more: () => void = () => {}
    const gate = new Promise<void>(resolve => {
      more = resolve
    })
    const { pipeline } = inProcess({
      inputs: {
        in: {
          async *read(positions, signal) {
            yield* listInput(records(20)).read(positions, signal)
            await gate
            yield* listInput(records(40)).read(positions, signal)
          },
        },
      },
      outputs: { out: { output: () => output } },
    })
    const running = pipeline.run()
    await until(async () => (await rowsOf(sql, 't')).length === 20)
    const closed =
      sql.dialect.name === 'mysql'
        ? (await sql.admin("SELECT id FROM information_schema.processlist WHERE user = 'penstock'")).map(([id]) =>
            sql.admin(`KILL ${id}`),
          )
        : [
            sql.admin(
              `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'penstock' AND datname = '${sql.database}'`,
            ),
          ]
    await Promise.all(closed)
    more()
    const { status, figures } = await running
    t.equal(status, 'ended')
    t.equal(figures.outputs[0]?.retried, 0)
    t.equal((await rowsOf(sql, 't')).length, 40)
  })

  await t.test('tables into which rows could be lost or come twice are refused, with the reason', async t => {
    const sql = await fresh(t)
    const cases: [string, RegExp][] = [
      [
        'CREATE TABLE t ("id" varchar(64) NOT NULL, "who" varchar(8), "n" int)',
        /its key \(id\) is neither the primary key nor a unique index/,
      ],
      ['CREATE TABLE t ("id" varchar(64) NOT NULL PRIMARY KEY, "n" int)', /it has no column who/],
      [
        'CREATE TABLE t ("id" varchar(64) NOT NULL PRIMARY KEY, "who" varchar(8), "n" int, "x" int NOT NULL)',
        /its column x takes no NULL, has no default/,
      ],
    ]
    if (sql.dialect.name === 'mysql')
      cases.push([
        'CREATE TABLE t ("id" varchar(64) NOT NULL PRIMARY KEY, "who" varchar(8) UNIQUE, "n" int)',
        /another unique index \(who\), and MySQL would drop/,
      ])
    for (const [made, why] of cases) {
      await sql.admin(made)
      const output = await outputOf({ ...sql.options, ...MAPPING })
      const { pipeline, health } = inProcess({
        inputs: { in: listInput(records(3)) },
        outputs: { out: { output: () => output } },
        config: { grace_ms: 50 },
      })
      const running = pipeline.run()
      t.match(await whyOf(health), why)
      pipeline.stop()
      await running
      t.equal((await rowsOf(sql, 't', '*', '1')).length, 0)
      await sql.admin('DROP TABLE t')
    }
  })
})
