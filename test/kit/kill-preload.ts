// Loaded into every thread of the program (NODE_OPTIONS=--import): names the calls that write the state and the outputs' files, notes
// each in a trace, and kills the process at the one that it was told. The program itself has no hook for this.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { relative } from 'node:path'
import { isMainThread, Worker } from 'node:worker_threads'

const { KILL_ROOT: root = '', KILL_TRACE: tracePath = '', KILL_AT: at = '', KILL_DICE: dice = '0.5' } = process.env
const own = { openSync: fs.openSync, writeSync: fs.writeSync, writeFileSync: fs.writeFileSync }
const trace = own.openSync(tracePath, 'a')
const counts = new Map<string, number>()
const paths = new Map<number, string>()
/** Set to 1 when the killer's time begins. */
const alarm = new Int32Array(new SharedArrayBuffer(4))

/** The path as points name it; undefined for what is neither state nor output. */
function named(path: unknown): string | undefined {
  const name = relative(root, String(path)) || 'work'
  if (!/^(state|out|work)($|\/)/.test(name)) return undefined
  // Which of the files that events choose, and how it is compressed, makes no other point.
  return name.replace(/\.\d{8}T\d{6}Z-\d{4}/, '').replace(/(left|right)\.ndjson.*/, '*')
}

function note(entry: object): void {
  own.writeSync(trace, `${JSON.stringify(entry)}\n`)
}

/** Notes a point; true when the process is to die here. */
function isHere(point: string): boolean {
  const n = (counts.get(point) ?? 0) + 1
  counts.set(point, n)
  note({ point, n })
  return at === `${point} #${n}`
}

function die(): never {
  note({ killed: at })
  process.kill(process.pid, 'SIGKILL')
  // A signal may be a moment under way.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
}

function pass(point: string): void {
  if (isHere(point)) die()
}

/** What makes no difference to what is on the disk has one point only. */
const MINOR = /chmod|PRAGMA (cache_size|synchronous|auto_vacuum)/

/** A call with the points before and after it. */
function around<R>(name: string | undefined, call: () => R): R {
  if (name === undefined) return call()
  if (!MINOR.test(name)) pass(`${name}, before`)
  const result = call()
  pass(`${name}, after`)
  return result
}

/** `done` is noted as soon as the call has succeeded. */
async function aroundAsync<R>(name: string | undefined, call: () => Promise<R>, done?: object): Promise<R> {
  if (name === undefined) return call()
  if (!MINOR.test(name)) pass(`${name}, before`)
  const result = await call()
  if (done) note(done)
  pass(`${name}, after`)
  return result
}

/** Writes so much of the bytes that a line ends in its middle, and dies. */
function half(path: string, bytes: Buffer, write: (part: Buffer) => void): never {
  let length = Math.max(1, Math.floor(Number(dice) * bytes.length))
  while (bytes[length - 1] === 10 && length > 1) length--
  write(bytes.subarray(0, length))
  note({ half: length, of: bytes.length, path })
  die()
}

type Call = (...args: never[]) => unknown
/** Puts a function around one of `node:fs`. */
function wrap(name: string, by: (call: () => unknown, args: readonly unknown[]) => unknown): void {
  const functions = fs as unknown as Record<string, Call>
  const original = functions[name] as Call
  functions[name] = (...args: never[]) => by(() => original(...args), args)
}

wrap('openSync', (call, [path, flags]) => {
  const name = named(path)
  const fd = (name !== undefined && flags === 'wx' ? around(`${name}: create`, call) : call()) as number
  if (name !== undefined) paths.set(fd, name)
  return fd
})
wrap('closeSync', (call, [fd]) => {
  paths.delete(fd as number)
  return call()
})
wrap('fsyncSync', (call, [fd]) => around(on(paths.get(fd as number), 'sync'), call))
wrap('chmodSync', (call, [path]) => around(on(named(path), 'chmod'), call))
wrap('mkdirSync', (call, [path]) => around(on(named(path), 'mkdir'), call))
wrap('rmSync', (call, [path]) => around(on(named(path), 'remove'), call))
wrap('renameSync', (call, [path]) => around(on(named(path), 'rename'), call))
wrap('writeFileSync', (call, [path, data]) => {
  const name = on(named(path), 'write')
  if (name && isHere(`${name}, half done`))
    half(String(path), Buffer.from(String(data)), part => own.writeFileSync(String(path), part))
  return around(name, call)
})

function on(path: string | undefined, what: string): string | undefined {
  return path === undefined ? undefined : `${path}: ${what}`
}

type Handle = fs.promises.FileHandle
const { open, mkdir, rename } = fs.promises
fs.promises.mkdir = ((...args: Parameters<typeof mkdir>) =>
  aroundAsync(on(named(args[0]), 'mkdir'), () => mkdir(...args), { made: String(args[0]) })) as typeof mkdir
fs.promises.rename = (from, to) => {
  const name = on(named(from), 'rename')
  if (name) note({ moving: [from, to] })
  return aroundAsync(name, () => rename(from, to), { moved: [from, to] })
}
fs.promises.open = async (path, flags, mode) => {
  const name = named(path)
  if (name === undefined) return open(path, flags, mode)
  const creates = ((flags as number) & fs.constants.O_CREAT) !== 0
  const opened = () => open(path, flags, mode)
  return watched(name, String(path), await aroundAsync(on(creates ? name : undefined, 'create'), opened, { made: String(path) }))
}

function watched(name: string, path: string, handle: Handle): Handle {
  for (const method of ['datasync', 'sync', 'truncate', 'chmod'] as const) {
    const original = handle[method].bind(handle) as (...args: unknown[]) => Promise<void>
    handle[method] = (...args: unknown[]) => {
      const size = method === 'truncate' ? Number(args[0]) : fs.fstatSync(handle.fd).size
      const done = method === 'chmod' ? undefined : { [method === 'truncate' ? 'cut' : 'synced']: path, size }
      return aroundAsync(`${name}: ${method}`, () => original(...args), done)
    }
  }
  const writev = handle.writev.bind(handle)
  handle.writev = ((slices: readonly Uint8Array[]) => {
    if (isHere(`${name}: write, half done`)) half(path, Buffer.concat(slices), part => void own.writeSync(handle.fd, part))
    return aroundAsync(`${name}: write`, () => writev(slices))
  }) as Handle['writev']
  return handle
}

syncBuiltinESMExports()

/** SQLite's calls: before, in the middle of (another thread kills then) and after what writes to the disk. */
async function watchSqlite(): Promise<void> {
  const { DatabaseSync, StatementSync } = await import('node:sqlite')
  const statements = new WeakMap<object, string>()
  /** Tables that the transaction under way has changed. */
  const touched = new Set<string>()
  const nameOf = (db: InstanceType<typeof DatabaseSync>, sql: string) => on(named(db.location()), brief(sql))
  const { exec, prepare } = DatabaseSync.prototype
  DatabaseSync.prototype.exec = function (sql) {
    let name = nameOf(this, sql)
    if (name === undefined || /^ROLLBACK/.test(sql)) return exec.call(this, sql)
    if (/^BEGIN/.test(sql)) touched.clear()
    if (sql === 'COMMIT') name += ` of ${[...touched].sort().join(' and ')}`
    return around(name, () => {
      if (/COMMIT|wal_checkpoint|zeroblob/.test(sql) && isHere(`${name}, in the middle`)) {
        note({ killing: at })
        Atomics.store(alarm, 0, 1)
        Atomics.notify(alarm, 0)
      }
      return exec.call(this, sql)
    })
  }
  DatabaseSync.prototype.prepare = function (sql, ...rest) {
    const statement = prepare.call(this, sql, ...rest)
    const name = nameOf(this, sql)
    if (name !== undefined) statements.set(statement, name)
    return statement
  }
  const { run, get } = StatementSync.prototype
  type Of<R> = (this: object, ...values: Parameters<typeof run>) => R
  const runs: Of<ReturnType<typeof run>> = function (...values) {
    const name = statements.get(this)
    touched.add(name?.split(' ').at(-1) ?? '')
    return around(name, () => run.apply(this as never, values))
  }
  const gets: Of<ReturnType<typeof get>> = function (...values) {
    const name = statements.get(this)
    return around(name?.includes('journal_mode') ? name : undefined, () => get.apply(this as never, values))
  }
  Object.assign(StatementSync.prototype, { run: runs, get: gets })
}

/** A statement's first words, without its values. */
function brief(sql: string): string {
  return sql
    .replace(/ VALUES.*| WHERE.*|\(.*/s, '')
    .replace(/PRAGMA busy_timeout = \d+; /, '')
    .replace(/\s+/g, ' ')
    .replace(/ = -?\d+/g, '')
    .trim()
    .slice(0, 60)
}

if (!isMainThread) await watchSqlite()
if (!isMainThread && /, in the middle #/.test(at)) {
  const code = `const { alarm, pid, ms } = require('node:worker_threads').workerData
    Atomics.wait(alarm, 0, 0)
    Atomics.wait(alarm, 0, 1, ms)
    process.kill(pid, 'SIGKILL')`
  // From at once to the time that a commit takes.
  const ms = Number(dice) * 2
  new Worker(code, { eval: true, execArgv: [], workerData: { alarm, pid: process.pid, ms } }).unref()
}
