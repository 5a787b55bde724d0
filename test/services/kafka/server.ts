// A real Apache Kafka broker for tests: one node in KRaft mode, on loopback only, its jars from Maven.
//   node server.ts fetch | start | kill | stop   [--dir D] [--port P] [--set key=value …]
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

export interface KafkaOptions {
  /** Everything of this broker; the same folder again goes on with the same data on the same ports. */
  readonly dir: string
  /** 0, the default: any free block of five. Only read when the folder is new. */
  readonly port?: number
  /** Lines that win over server.properties; only read when the folder is new. */
  readonly set?: Readonly<Record<string, string>>
  /** Java heap. Default: KAFKA_HEAP, else 256m. */
  readonly heap?: string
}

export interface KafkaBroker {
  readonly dir: string
  readonly pid: number
  readonly version: string
  /** Its doors, as 127.0.0.1:port. */
  readonly plain: string
  readonly sasl: string
  readonly tls: string
  readonly saslTls: string
  readonly user: string
  readonly password: string
  /** PEM files: what clients must trust, and the key that belongs to it. */
  readonly ca: string
  readonly key: string
  readonly log: string
}

export const USER = 'penstock'
export const PASSWORD = 'penstock-secret'
const here = fileURLToPath(new URL('.', import.meta.url))
const pom = join(here, 'pom.xml')
const version = process.env['KAFKA_VERSION'] || /<kafka\.version>(.*?)</.exec(readFileSync(pom, 'utf8'))?.[1] || ''
const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
const jars = join(process.env['KAFKA_JARS'] || join(cache, 'penstock-tests'), `kafka-${version}`)
const java = process.env['JAVA_HOME'] ? join(process.env['JAVA_HOME'], 'bin', 'java') : 'java'
const READY_MS = 60_000

/** Why no broker can be had on this machine, for a skip to say; undefined where one can. */
export function kafkaMissing(): string | undefined {
  if (process.platform !== 'linux') return 'a real Kafka broker is started on Linux alone'
  const needed: [string, string[]][] = [
    [java, ['-version']],
    ['openssl', ['version']],
    ...(existsSync(jars) ? [] : ([['mvn', ['-v']]] as [string, string[]][])),
  ]
  const lacking = needed.filter(([command, args]) => spawnSync(command, args).status !== 0).map(([command]) => command)
  return lacking.length > 0 ? `a real Kafka broker needs ${lacking.join(', ')}` : undefined
}

/** Resolves the jars, once; their folder appears only when it is complete. */
export function fetchJars(): string {
  if (existsSync(jars)) return jars
  const part = `${jars}.${process.pid}.part`
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
  const args = ['-B', '-q', '-Dstyle.color=never', '-f', pom, `-Dkafka.version=${version}`, copy]
  try {
    execFileSync('mvn', [...args, '-DincludeScope=runtime', `-DoutputDirectory=${part}`], { stdio: ['ignore', 2, 2] })
    try {
      renameSync(part, jars)
    } catch (error) {
      // Another process was first.
      if (!existsSync(jars)) throw error
    }
  } finally {
    rmSync(part, { recursive: true, force: true })
  }
  return jars
}

/** Starts the broker (in a new folder: formats it before) and waits until it answers. It outlives the process that started it. */
export async function startKafka({ dir: folder, port = 0, set = {}, heap }: KafkaOptions): Promise<KafkaBroker> {
  const dir = resolve(folder)
  fetchJars()
  if (!existsSync(join(dir, 'broker.json'))) {
    // Left by a format that failed.
    rmSync(join(dir, 'data'), { recursive: true, force: true })
    await format(dir, port || (await freePorts()), set)
  }
  const { port: first } = JSON.parse(readFileSync(join(dir, 'broker.json'), 'utf8')) as { port: number }
  let pid = pidOf(dir)
  let child: ChildProcess | undefined
  if (!pid) {
    if (await isReady(first)) throw new Error(`port ${first} has another broker`)
    const log = openSync(join(dir, 'broker.log'), 'a')
    child = startJava('kafka.Kafka', [join(dir, 'server.properties')], log, heap ?? process.env['KAFKA_HEAP'] ?? '256m')
    closeSync(log)
    child.on('error', () => {})
    child.unref()
    pid = child.pid ?? 0
    writeFileSync(join(dir, 'broker.pid'), String(pid))
  }
  const log = join(dir, 'broker.log')
  for (const until = Date.now() + READY_MS; !(await isReady(first)); await sleep(50)) {
    const ended = child && (child.exitCode ?? child.signalCode) !== null
    if (isAlive(pid) && !ended && Date.now() < until) continue
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
    throw new Error(`the broker did not get ready; the end of ${log}:\n${readFileSync(log, 'utf8').slice(-3000)}`)
  }
  const ports = portsFrom(first)
  const at = (name: string) => `127.0.0.1:${ports[name]}`
  return {
    ...{ dir, pid, version, log, user: USER, password: PASSWORD, ca: join(dir, 'cert.pem'), key: join(dir, 'key.pem') },
    ...{ plain: at('PLAINTEXT'), sasl: at('SASL'), tls: at('TLS'), saslTls: at('SASL_TLS') },
  }
}

/** At once, as a crash would: started again it goes on with its data. */
export function killKafka(dir: string): Promise<boolean> {
  return end(dir, 'SIGKILL', 5_000)
}

/** In order. */
export function stopKafka(dir: string): Promise<boolean> {
  return end(dir, 'SIGTERM', 20_000)
}

async function end(folder: string, signal: NodeJS.Signals, waitMs: number): Promise<boolean> {
  const dir = resolve(folder)
  const pid = pidOf(dir)
  if (!pid) return false
  process.kill(pid, signal)
  for (const until = Date.now() + waitMs; pidOf(dir) && Date.now() < until; ) await sleep(20)
  if (pidOf(dir)) {
    process.kill(pid, 'SIGKILL')
    await sleep(200)
  }
  rmSync(join(dir, 'broker.pid'), { force: true })
  return true
}

/** P plain, P+1 SASL, P+2 TLS, P+3 SASL over TLS, P+4 the controller's own. */
function portsFrom(port: number): Record<string, number> {
  return Object.fromEntries(['PLAINTEXT', 'SASL', 'TLS', 'SASL_TLS', 'CONTROLLER'].map((name, index) => [name, port + index]))
}

/** A block of five free ports, below the range from which the system takes ports of its own. */
async function freePorts(): Promise<number> {
  for (;;) {
    const port = 20_000 + 5 * Math.floor(Math.random() * 2_400)
    const servers = [0, 1, 2, 3, 4].map(() => createServer())
    const listening = servers.map(
      (server, index) =>
        new Promise<void>((done, fail) => server.once('error', fail).listen(port + index, '127.0.0.1', () => done())),
    )
    const free = await Promise.all(listening).then(
      () => true,
      () => false,
    )
    await Promise.allSettled(listening)
    await Promise.all(servers.map(server => new Promise(done => server.close(done))))
    if (free) return port
  }
}

function startJava(main: string, args: readonly string[], log: number, heap: string): ChildProcess {
  const options = [
    ...[`-Xmx${heap}`, '-Xms32m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:MaxDirectMemorySize=64m', '-Xshare:auto'],
    ...['-Djava.awt.headless=true', '-Dorg.slf4j.simpleLogger.showDateTime=true'],
    `-Dorg.slf4j.simpleLogger.defaultLogLevel=${process.env['KAFKA_LOG'] || 'warn'}`,
    '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
  ]
  const command = [...options, '-cp', join(fetchJars(), '*'), main, ...args]
  return spawn(java, command, { detached: true, stdio: ['ignore', log, log] })
}

/** Makes the storage, with its certificate, users and ports. */
async function format(dir: string, port: number, set: Readonly<Record<string, string>>): Promise<void> {
  mkdirSync(dir, { recursive: true })
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')]
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', '/CN=localhost']
  const names = ['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert]
  execFileSync('openssl', [...request, ...names], { stdio: 'ignore' })
  writeFileSync(join(dir, 'server.pem'), readFileSync(key, 'utf8') + readFileSync(cert, 'utf8'))
  const module = 'org.apache.kafka.common.security'
  const fill: Record<string, string | number> = {
    ...portsFrom(port),
    DIR: dir,
    PLAIN_JAAS: `${module}.plain.PlainLoginModule required user_${USER}="${PASSWORD}";`,
    SCRAM_JAAS: `${module}.scram.ScramLoginModule required;`,
    OAUTH_JAAS: `${module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="${USER}";`,
  }
  const template = readFileSync(join(here, 'server.properties'), 'utf8')
  const text = template.replace(/\$\{(\w+)\}/g, (_, name: string) => String(fill[name]))
  const config = join(dir, 'server.properties')
  const own = Object.entries(set).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(config, text + own.join(''))
  const log = openSync(join(dir, 'format.log'), 'w')
  const scram = [256, 512].flatMap(bits => ['--add-scram', `SCRAM-SHA-${bits}=[name=${USER},password=${PASSWORD}]`])
  const cluster = randomBytes(16).toString('base64url').replace(/^-/, 'A')
  const args = ['format', '--config', config, '--cluster-id', cluster, ...scram]
  const child = startJava('kafka.tools.StorageTool', args, log, '128m')
  const code = await new Promise(done => child.once('error', done).once('exit', done))
  closeSync(log)
  if (code !== 0) throw new Error(`format failed:\n${readFileSync(join(dir, 'format.log'), 'utf8')}`)
  writeFileSync(join(dir, 'broker.json'), JSON.stringify({ port, version }))
}

/** Ready: a Metadata request (version 1, no topics) is answered with one broker. */
async function isReady(port: number): Promise<boolean> {
  try {
    return (await ask(port, 3, 1, Buffer.alloc(4))).readInt32BE(0) === 1
  } catch {
    return false
  }
}

/** One request over the plain door. */
function ask(port: number, key: number, apiVersion: number, body: Buffer): Promise<Buffer> {
  return new Promise((done, fail) => {
    const socket = connect(port, '127.0.0.1')
    const head = Buffer.alloc(14)
    head.writeInt32BE(10 + body.length, 0)
    head.writeInt16BE(key, 4)
    head.writeInt16BE(apiVersion, 6)
    // Correlation id; no client id.
    head.writeInt32BE(7, 8)
    head.writeInt16BE(-1, 12)
    let got: Buffer = Buffer.alloc(0)
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')))
    socket.on('error', fail).on('close', () => fail(new Error('closed')))
    socket.on('connect', () => socket.write(Buffer.concat([head, body])))
    socket.on('data', (data: Buffer) => {
      got = Buffer.concat([got, data])
      if (got.length < 4 || got.length < 4 + got.readInt32BE(0)) return
      done(got.subarray(8))
      socket.destroy()
    })
  })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The id of the broker on a folder, or 0. Its command line is checked: the id can be another process's by now. */
function pidOf(dir: string): number {
  try {
    const pid = Number(readFileSync(join(dir, 'broker.pid'), 'utf8'))
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
    return isAlive(pid) && command.includes(join(dir, 'server.properties')) ? pid : 0
  } catch {
    return 0
  }
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { dir: { type: 'string' }, port: { type: 'string' }, set: { type: 'string', multiple: true } },
  })
  const dir = values.dir ?? process.env['KAFKA_DIR'] ?? join(tmpdir(), 'penstock-kafka')
  const port = Number(values.port ?? process.env['KAFKA_PORT'] ?? 19_092)
  const set = Object.fromEntries((values.set ?? []).map(line => line.split(/=(.*)/s).slice(0, 2)))
  if (positionals[0] === 'fetch') console.log(fetchJars())
  else if (positionals[0] === 'start') console.log(JSON.stringify(await startKafka({ dir, port, set }), null, 2))
  else if (positionals[0] === 'kill') console.log((await killKafka(dir)) ? 'killed' : 'not running')
  else if (positionals[0] === 'stop') console.log((await stopKafka(dir)) ? 'stopped' : 'not running')
  else {
    console.error('server.ts fetch | start | kill | stop   [--dir D] [--port P] [--set key=value …]')
    process.exit(2)
  }
}
