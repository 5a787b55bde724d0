// A database server from Debian's packages, for a test: on loopback, with data in a folder of its own, killed and started again at will.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import process from 'node:process'
import { selfSigned } from '../../../plugins/lib/microsoft/simulator/certificate.ts'
import { until } from '../../kit/until.ts'

/** What a server of a package is made of. */
export interface Recipe {
  /** Debian's package. */
  readonly debian: string
  /** The program of the server, by its places. */
  readonly programs: readonly string[]
  /** The user that the package makes: these servers refuse to run as root. */
  readonly user: string
  /** Makes an empty database in `data`. */
  prepare(program: string, data: string): readonly [command: string, ...args: string[]]
  /** Runs the server in the foreground. */
  serve(program: string, place: Place): readonly [command: string, ...args: string[]]
  /** Resolves once the server takes statements; sets up users the first time. Throws before. */
  ready(place: Place): Promise<void>
}

export interface Place {
  readonly folder: string
  /** A certificate for localhost, signed by itself, and its key: PEM files. */
  readonly cert: string
  readonly key: string
  readonly data: string
  readonly port: number
}

export interface LocalServer {
  readonly port: number
  readonly folder: string
  /** PEM file of the certificate, which is for localhost and signed by itself. */
  readonly cert: string
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
  /** Stops all of its processes where they are (SIGSTOP), until `resume`. */
  pause(): void
  resume(): void
  /** Starts it again, with the same data, on the same port. */
  start(): Promise<void>
  /** Ends it in order. Does nothing when it has ended. */
  stop(): Promise<void>
}

const INSTALL_MS = 600_000
/** Tells Debian's scripts not to start services. */
const POLICY = '/usr/sbin/policy-rc.d'

/** The program, installed if it is missing and that is allowed; or why there is none. */
export function programOf({ debian, programs }: Recipe): { readonly program: string } | { readonly missing: string } {
  const find = () => programs.find(program => existsSync(program))
  const found = find()
  if (found) return { program: found }
  const why = `it needs ${programs[0]} (apt-get install ${debian})`
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return { missing: why }
  const ours = !existsSync(POLICY)
  if (ours) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const run = (...args: string[]) => spawnSync('apt-get', args, { env, timeout: INSTALL_MS, encoding: 'utf8' })
    run('update')
    const { stderr } = run('install', '-y', '--no-install-recommends', debian)
    const program = find()
    return program ? { program } : { missing: `${why}; apt-get said: ${stderr.trim().split('\n').at(-1)}` }
  } finally {
    if (ours) spawnSync('rm', ['-f', POLICY])
  }
}

/** Starts a server in `folder`, on a port that the system chooses. A folder that was used before goes on with its data. */
export async function startLocal(recipe: Recipe, folder: string): Promise<LocalServer> {
  const found = programOf(recipe)
  if ('missing' in found) throw new Error(found.missing)
  const { program } = found
  const who = process.getuid?.() === 0 ? idsOf(recipe.user) : {}
  const data = join(folder, 'data')
  const portFile = join(folder, 'port')
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  if (!existsSync(data)) {
    mkdirSync(data, { recursive: true, mode: 0o700 })
    if (who.uid !== undefined) {
      chownSync(folder, who.uid, who.gid as number)
      chownSync(data, who.uid, who.gid as number)
    }
    const [command, ...args] = recipe.prepare(program, data)
    const { status, stdout, stderr } = spawnSync(command, args, { ...who, cwd: '/', encoding: 'utf8' })
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${stdout}${stderr}`)
    const made = await selfSigned(['localhost'])
    writeFileSync(cert, made.cert)
    writeFileSync(key, made.key, { mode: 0o600 })
    if (who.uid !== undefined) for (const file of [cert, key]) chownSync(file, who.uid, who.gid as number)
    writeFileSync(portFile, String(await freePort()))
  }
  const place: Place = { folder, data, cert, key, port: Number(readFileSync(portFile, 'utf8')) }

  let child: ChildProcess | undefined
  let said = ''
  let over: Promise<void> = Promise.resolve()
  // PostgreSQL's processes are no group: each is sent the signal by itself.
  const signal = (name: NodeJS.Signals) => {
    if (child?.pid === undefined) return
    const { stdout } = spawnSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
    for (const pid of [child.pid, ...stdout.trim().split('\n').filter(Boolean).map(Number)]) {
      try {
        process.kill(pid, name)
      } catch {
        // It has ended.
      }
    }
  }
  // A test that ends in the middle leaves no server behind.
  const atExit = () => signal('SIGKILL')

  const start = async () => {
    const [command, ...args] = recipe.serve(program, place)
    const own = spawn(command, args, { ...who, cwd: '/', stdio: ['ignore', 'pipe', 'pipe'] })
    child = own
    said = ''
    const hear = (text: Buffer) => {
      said = (said + text).slice(-10_000)
    }
    own.stdout.on('data', hear)
    own.stderr.on('data', hear)
    over = new Promise(resolve => own.once('close', () => resolve()))
    process.on('exit', atExit)
    let why = ''
    await until(
      async () => {
        if (own.exitCode !== null || own.signalCode !== null) throw new Error(`${command} has ended:\n${said}`)
        try {
          await recipe.ready(place)
          return true
        } catch (error) {
          why = String(error)
          return false
        }
      },
      () => `${command} takes no statements: ${why}\n${said}`,
      { every: 50 },
    )
  }
  const end = async (name: NodeJS.Signals) => {
    if (name === 'SIGKILL') signal(name)
    else child?.kill(name)
    await over
    process.off('exit', atExit)
    child = undefined
  }
  await start()
  return {
    ...{ port: place.port, folder, cert, start },
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

function idsOf(user: string): { readonly uid?: number; readonly gid?: number } {
  const id = (what: string) => Number(spawnSync('id', [what, user], { encoding: 'utf8' }).stdout)
  return { uid: id('-u'), gid: id('-g') }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
