// Disks, folders and files that may not be written, before the start and while the program runs.
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mountedDisk, whyNoChattr, whyNoMount, whyNoOtherUser } from '../fixtures/state/parts.ts'
import {
  acknowledged,
  command,
  engine,
  events,
  feed,
  imbalances,
  lineCount,
  numbers,
  onlyFull,
  pipeline,
  until,
  wrong,
} from '../kit/limits.ts'
import { loopDisk, whyNoLoop } from '../kit/mounts.ts'
import { full } from '../kit/rounds.ts'

t.setTimeout(140_000)
t.jobs = 8

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
const noMount = whyNoMount()
const noChattr = whyNoChattr()
const noUser = isRoot ? whyNoOtherUser(NOBODY) : 'it needs root, to become somebody else'

function folder(t: Test, out: string, more: object = {}): string {
  const cwd = t.testdir({ 'in.ndjson': events(0, 10) })
  pipeline(cwd, {
    inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
    outputs: [{ type: 'file', id: 'out', path: out, batch: { max_ms: 5 }, retry: { min_ms: 10, max_ms: 200 } }],
    http: { port: 0 },
    ...more,
  })
  return cwd
}

interface Refusal {
  readonly state: string
  readonly code: string
  /** A command that starts the program. */
  readonly prefix?: readonly string[]
  mend(): void
}

/** A disk that is mounted read-only. */
function readOnlyDisk(t: Test): Refusal {
  const disk = mountedDisk(t, '24m')
  execFileSync('mount', ['-o', 'remount,ro', disk])
  return { state: join(disk, 'state'), code: 'EROFS', mend: () => execFileSync('mount', ['-o', 'remount,rw', disk]) }
}

/** A folder of root, for a program that runs as nobody. */
function foreignFolder(_t: Test, cwd: string): Refusal {
  const state = join(cwd, 'state')
  mkdirSync(state)
  chmodSync(state, 0o555)
  const prefix = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
  return { state, code: 'EACCES', prefix, mend: () => chmodSync(state, 0o777) }
}

/** A file that not even root may change. */
async function immutableFile(t: Test): Promise<Refusal> {
  const state = scratch(t)
  await command(t, state, 'state', 'reset', 'none', '--state-dir', state)
  execFileSync('chattr', ['+i', join(state, 'state.db')])
  return { state, code: 'EPERM', mend: () => execFileSync('chattr', ['-i', join(state, 'state.db')]) }
}

/** A folder in which files may be made immutable: it is not the runner that removes it. */
function scratch(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'penstock-immutable-'))
  t.teardown(() => {
    execFileSync('chattr', ['-R', '-i', path])
    rmSync(path, { recursive: true })
  })
  return path
}

for (const [what, skip, prepare] of [
  ['a read-only disk', noMount, readOnlyDisk],
  ['a folder of somebody else', noUser, foreignFolder],
  ['an immutable file', noChattr, immutableFile],
] as const) {
  t.test(`row 15: ${what} for the state is refused before any input starts`, { skip }, async t => {
    const cwd = folder(t, 'out/o.ndjson')
    const out = join(cwd, 'out/o.ndjson')
    chmodSync(cwd, 0o777)
    const { state, code, mend, prefix = [] } = await prepare(t, cwd)
    const args = ['run', 'p.yaml', '--state-dir', state]
    const before = existsSync(state) ? readdirSync(state) : undefined
    const refused = await engine(t, cwd, { args, prefix }).ended
    t.equal(refused.code, 78, refused.stderr)
    t.match(
      refused.stderr,
      new RegExp(`^penstock: state: ${state}\\S* is not writable \\(${code}\\): name a folder with --state-dir`, 'm'),
    )
    t.notOk(existsSync(join(cwd, 'out')), 'no step has begun')
    t.same(existsSync(state) ? readdirSync(state) : undefined, before)
    mend()
    // That it goes on afterwards is the same for all of them.
    if (!full && code !== 'EROFS') return
    const running = engine(t, cwd, { args, prefix })
    await until('it goes on', () => lineCount(out) === 10)
    t.equal((await running.stop()).code, 0)
    t.same(wrong(numbers(out), 10, true), [])
  })
}

t.test(
  'row 15: files that become immutable while it runs: it waits, and goes on by itself',
  { skip: onlyFull || noChattr },
  async t => {
    const place = scratch(t)
    const [out, state] = [join(place, 'o.ndjson'), join(place, 'state')]
    const cwd = folder(t, out)
    const input = join(cwd, 'in.ndjson')
    const running = engine(t, cwd, { args: ['run', 'p.yaml', '--state-dir', state] })
    await until('the first are acknowledged', () => lineCount(out) === 10 && acknowledged(state) === statSync(input).size)
    execFileSync('chattr', ['+i', out])
    feed(input, 10, 20)
    await until('the output told of it', () => running.told(/does not take events/) > 0)
    t.match(
      running.log().find(({ error }) => error !== undefined)?.['error'],
      /^file: EPERM .*o\.ndjson: this is not permitted; check for an immutable file/,
    )
    t.match(await running.ask('/ready'), { status: 503, body: /EPERM/ })
    t.equal(lineCount(out), 10)
    execFileSync('chattr', ['-i', out])
    await until('they are acknowledged', () => acknowledged(state) === statSync(input).size)

    const log = join(state, 'state.db-wal')
    execFileSync('chattr', ['+i', log])
    feed(input, 20, 30)
    await until('the state told of it', () => running.told(/positions cannot be saved/) > 0)
    t.match(running.log().find(({ level }) => level === 'error')?.['error'], /cannot save positions in .*a write was refused/)
    feed(input, 30, 40)
    await until('events flow on', () => lineCount(out) === 40)
    execFileSync('chattr', ['-i', log])
    await until('they are acknowledged', () => acknowledged(state) === statSync(input).size)
    feed(input, 40, 41)
    await until('a fresh event gets through', () => lineCount(out) === 41)
    t.same(await imbalances(running), [])
    t.equal((await running.stop()).code, 0)
    t.same(wrong(numbers(out), 41, true), [])
  },
)

const noLoop = noMount || whyNoLoop()
t.test(
  'row 15: a disk turns read-only while it runs: nothing is torn or lost, and it ends when asked to',
  { skip: noLoop },
  async t => {
    const disk = loopDisk(t, 24)
    const [out, state] = [join(disk.path, 'o.ndjson'), join(disk.path, 'state')]
    const cwd = folder(t, out, { grace_ms: 500 })
    const input = join(cwd, 'in.ndjson')
    const args = ['run', 'p.yaml', '--state-dir', state]
    const first = engine(t, cwd, { args })
    await until('the first are delivered', () => lineCount(out) === 10)
    disk.turnReadOnly()
    feed(input, 10, 500)
    await until('the output told of it', () => first.told(/does not take events/) > 0)
    t.match(first.log().find(({ step }) => step === 'out')?.['error'], /^file: EROFS .*: the file system is read-only/)
    t.equal((await first.ask('/ready')).status, 503)
    t.same(await imbalances(first), [])
    first.child.kill('SIGTERM')
    await until('it has ended', () => !first.running(), 20_000)
    t.equal((await first.ended).code, 0)

    disk.again()
    t.ok(readFileSync(out, 'utf8').endsWith('\n'))
    const second = engine(t, cwd, { args })
    feed(input, 500, 501)
    await until('a fresh event gets through', () => numbers(out).includes(500))
    t.equal((await second.stop()).code, 0)
    t.same(wrong(numbers(out), 501), [])
  },
)
