// Starts a real server of every kind on this machine, runs pipelines/every-output.yaml on them, and counts what is there: npm run every-output.
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttp } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { gunzipSync } from 'node:zlib'
import { Kafka, logLevel } from 'kafkajs'
import { root } from '../kit/cases.ts'
import { ACCOUNT, ACCOUNT_KEY, azuriteMissing, startAzurite } from './azurite/server.ts'
import { elasticsearchMissing, startElasticsearch } from './elasticsearch/server.ts'
import { kafkaMissing, startKafka, stopKafka } from './kafka/server.ts'
import { PASSWORD as MYSQL_PASSWORD, mariadbMissing, startMariadb } from './mariadb/server.ts'
import { PASSWORD as PG_PASSWORD, postgresMissing, startPostgres } from './postgres/server.ts'

const TOPIC = 'm365-audit'
const PIPELINE = join(root, 'pipelines/every-output.yaml')
const folder = mkdtempSync(join(tmpdir(), 'penstock-every-output-'))
// Servers that refuse root work in their folders as other users.
chmodSync(folder, 0o755)
const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
const env: NodeJS.ProcessEnv = { ...process.env }

/** A folder below the one of this run. */
function below(name: string): string {
  const path = join(folder, name)
  mkdirSync(path, { mode: 0o755 })
  return path
}

const work = below('work')
const say = (text: string) => process.stderr.write(`${text}\n`)

/** `penstock ARGS`, with its output here. Resolves to the exit code. */
function penstock(...args: string[]): Promise<number> {
  const child = spawn(process.execPath, [join(root, 'core/cli/main.ts'), ...args], {
    cwd: work,
    env,
    stdio: 'inherit',
  })
  return new Promise((resolve, reject) => child.on('error', reject).on('close', code => resolve(code ?? 1)))
}

/** The servers, each with how many events it holds. */
async function startAll(): Promise<readonly (readonly [name: string, count: () => Promise<number>])[]> {
  const t = { teardown: (fn: () => unknown) => void ends.push(fn) }
  say('Elasticsearch')
  const es = await startElasticsearch({ folder: below('elasticsearch') })
  t.teardown(() => es.stop())
  say('Kafka')
  const kafka = await startKafka({ dir: below('kafka') })
  t.teardown(() => stopKafka(kafka.dir))
  const admin = new Kafka({ brokers: [kafka.plain], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 3 }] })
  say('PostgreSQL')
  const pg = await startPostgres(below('postgres'))
  t.teardown(() => pg.stop())
  await pg.admin('CREATE DATABASE audit OWNER penstock')
  say('MariaDB')
  const mysql = await startMariadb(below('mariadb'))
  t.teardown(() => mysql.stop())
  await mysql.admin('CREATE DATABASE audit CHARACTER SET utf8mb4')
  say('Azurite')
  const blobs = await startAzurite(t, { folder: below('azurite') })

  let posted = 0
  const http = createHttp((request, response) => {
    const parts: Buffer[] = []
    request
      .on('data', part => parts.push(part))
      .on('end', () => {
        posted += gunzipSync(Buffer.concat(parts)).toString().split('\n').filter(Boolean).length
        response.end()
      })
  }).listen(0, '127.0.0.1')
  let logged = ''
  const syslog = createServer(socket => socket.setEncoding('utf8').on('data', (text: string) => (logged += text))).listen(
    0,
    '127.0.0.1',
  )
  t.teardown(() => http.close())
  t.teardown(() => syslog.close())
  const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port
  await Promise.all([http, syslog].map(server => server.listening || new Promise(resolve => server.once('listening', resolve))))

  Object.assign(env, {
    ES_URL: es.url,
    KAFKA: kafka.plain,
    ...{ PG_PORT: String(pg.port), PG_PASSWORD, MYSQL_PORT: String(mysql.port), MYSQL_PASSWORD },
    BLOB_CONNECTION: `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${ACCOUNT_KEY};BlobEndpoint=${blobs.endpoint};`,
    HTTP_URL: `http://127.0.0.1:${portOf(http)}/in`,
    SYSLOG_PORT: String(portOf(syslog)),
  })
  const rows = async (
    server: { admin(text: string, database?: string): Promise<{ rows: unknown[][] }> },
    tables: readonly string[],
  ) => {
    let sum = 0
    for (const table of tables) sum += Number((await server.admin(`SELECT count(*) FROM ${table}`, 'audit')).rows[0]?.[0])
    return sum
  }
  return [
    [
      'Elasticsearch',
      async () => {
        await es.request('POST', '/logs-o365.audit-default/_refresh')
        return Number((await es.request('GET', '/logs-o365.audit-default/_count')).json.count)
      },
    ],
    ['Kafka', async () => (await admin.fetchTopicOffsets(TOPIC)).reduce((sum, { high }) => sum + Number(high), 0)],
    ['PostgreSQL, four tables', () => rows(pg, ['auditaad', 'auditexchange', 'auditsharepoint', 'auditgeneral'])],
    ['MariaDB, logins', () => rows(mysql, ['logins'])],
    ['HTTP endpoint', async () => posted],
    ['syslog receiver', async () => logged.split('CEF:0|').length - 1],
  ]
}

async function main(): Promise<number> {
  const missing = [elasticsearchMissing(), kafkaMissing(), postgresMissing(), mariadbMissing(), azuriteMissing()].filter(Boolean)
  if (missing.length > 0) {
    say(`this machine lacks something:\n  ${missing.join('\n  ')}`)
    return 1
  }
  say('Starting (the first time they are fetched):')
  const counts = await startAll()
  for (const what of ['elasticsearch', 'sql']) {
    const code = await penstock('setup', what, PIPELINE)
    if (code !== 0) return code
  }
  const code = await penstock('run', PIPELINE, '--log-level', 'warn')
  say('What is there:')
  for (const [name, count] of counts) say(`  ${name.padEnd(24)} ${await count()}`)
  return code
}

try {
  process.exitCode = await main()
} finally {
  for (const end of ends.reverse()) await end()
}
