// penstock setup sql on real servers: it makes what is missing, changes nothing that is there, and says what is other.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { penstock } from '../kit/process.ts'
import { onEach, PASSWORD_PLACE, type Sql, write } from './sql-support.ts'

t.setTimeout(600_000)

async function setup(t: Test, sql: Sql, options: JsonObject, ...args: string[]) {
  const folder = t.testdir({})
  const output = { type: 'sql', ...sql.options, password: PASSWORD_PLACE, ...options }
  writeFileSync(join(folder, 'p.yaml'), JSON.stringify({ name: 'p', inputs: [{ type: 'stdin' }], outputs: [output] }))
  return penstock(['setup', 'sql', 'p.yaml', ...args], { cwd: folder })
}

const RECORD = {
  Id: '11111111-aaaa-4bbb-8ccc-000000000001',
  RecordType: 15,
  Workload: 'AzureActiveDirectory',
  CreationTime: '2026-05-01T09:12:33',
}

await onEach(t, async (t, fresh) => {
  await t.test('an empty database gets its tables; a second time nothing is done', async t => {
    const sql = await fresh(t)
    const first = await setup(t, sql, { layout: 'o365' })
    t.equal(first.code, 0, first.stderr)
    t.equal(first.stdout.match(/: made$/gm)?.length, 4, first.stdout)
    await write(t, { ...sql.options, layout: 'o365' }, [RECORD])
    const second = await setup(t, sql, { layout: 'o365' })
    t.equal(second.code, 0, second.stderr)
    t.equal(second.stdout.match(/: is as it should be$/gm)?.length, 4, second.stdout)
    t.equal((await sql.admin('SELECT "Id" FROM auditaad')).length, 1)
  })

  await t.test('--dry-run prints SQL that makes the tables, and connects to nothing', async t => {
    const sql = await fresh(t)
    const { code, stdout } = await setup(t, sql, { layout: 'o365', port: 1, host: '192.0.2.1', tls: false }, '--dry-run')
    t.equal(code, 0)
    const session = await sql.connect()
    for (const statement of stdout.replace(/^--.*$/gm, '').split(';\n')) if (statement.trim()) await session.run(statement)
    await session.close()
    const { stdout: said } = await setup(t, sql, { layout: 'o365' })
    t.equal(said.match(/: is as it should be$/gm)?.length, 4, said)
  })

  await t.test('a table that is other is left alone, and it is said how; a column that is missing too', async t => {
    const sql = await fresh(t)
    const time = sql.dialect.name === 'mysql' ? 'DATETIME' : 'TIMESTAMP'
    await sql.admin(
      `CREATE TABLE auditaad ("CreationTime" ${time}, "Id" CHAR(36) PRIMARY KEY, "Operation" VARCHAR(20), "RecordType" TEXT)`,
    )
    const { code, stdout } = await setup(t, sql, { layout: 'o365' })
    t.equal(code, 1)
    t.match(stdout, /auditaad in test_\d+ on 127\.0\.0\.1: is other than it should be, and is left as it is/)
    t.match(stdout, /nothing can be written: it has no column OrganizationId \((longtext|text)\)/)
    t.match(stdout, /Operation is (varchar\(20\)|character varying\(20\)), which refuses longer texts than 20/)
    t.match(stdout, /it has no index on \(CreationTime, Id\)/)
    const mine = `table_name = 'auditaad' AND table_schema IN ('public', '${sql.database}')`
    t.equal((await sql.admin(`SELECT 1 FROM information_schema.columns WHERE ${mine}`)).length, 4, 'nothing was added')
    t.match(stdout, /auditgeneral in .*: made/)
  })

  await t.test('columns in small letters are the same columns', async t => {
    const sql = await fresh(t)
    const { stdout } = await setup(t, sql, { layout: 'o365' }, '--dry-run')
    const names = [...new Set([...stdout.matchAll(/^ {2}[`"](\w+)[`"]/gm)].map(([, name]) => name as string))]
    const small = names.reduce(
      (text, name) => text.replace(new RegExp(`([\`"])${name}([\`"])`, 'g'), (_, a, b) => a + name.toLowerCase() + b),
      stdout,
    )
    const session = await sql.connect()
    for (const statement of small.replace(/^--.*$/gm, '').split(';\n')) if (statement.trim()) await session.run(statement)
    await session.close()
    const { letters } = await write(t, { ...sql.options, layout: 'o365' }, [RECORD])
    t.strictSame(letters, [])
    t.equal((await sql.admin('SELECT "id" FROM auditaad')).length, 1)
  })

  await t.test('a server that is not there is said in one sentence', async t => {
    const sql = await fresh(t)
    await sql.server.stop()
    const { code, stdout, stderr } = await setup(t, sql, { layout: 'o365' })
    await sql.server.start()
    t.equal(code, 1)
    t.match(stdout + stderr, /ECONNREFUSED/)
    t.notMatch(stdout + stderr, / {4}at /)
  })
})
