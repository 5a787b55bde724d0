// Starts the real program so that it can be killed at named points, and reads what it left: state, dead letters, files, counters.
import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { root } from './cases.ts'
import type { Letter } from './ledger.ts'

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

export interface Life {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** What it has said so far. */
  stderr(): string
}

export interface LifeOptions {
  readonly folder: string
  readonly args: readonly string[]
  /** Watches the calls that write: notes them in this file, and kills at a point of it when one is given. */
  readonly watch?: { readonly trace: string; readonly at?: string; readonly dice?: number }
}

const MAIN = join(root, 'core/cli/main.ts')
const PRELOAD = join(root, 'test/kit/kill-preload.ts')

/** Runs `penstock ARGS` in a folder, and nothing else in that process: what the test runner would load into it stays away. */
export function live({ folder, args, watch }: LifeOptions): Life {
  const env = watch
    ? [`KILL_ROOT=${folder}`, `KILL_TRACE=${watch.trace}`, `KILL_AT=${watch.at ?? ''}`, `KILL_DICE=${watch.dice ?? 0.5}`]
    : []
  // The runner sets NODE_OPTIONS whatever `env` says; env(1) comes after it and keeps the process's id.
  const command = [`NODE_OPTIONS=${watch ? `--import=${PRELOAD}` : ''}`, ...env, process.execPath, MAIN, ...args]
  const child = spawn('env', ['-u', 'NODE_V8_COVERAGE', '-u', 'npm_lifecycle_event', ...command], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, stderr }))
  })
  return { child, ended, stderr: () => stderr }
}

/** A folder of its own, removed when the test ends: what a killed run has left mounted in another one does not matter. */
export function scratch(t: { teardown(fn: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-scratch-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Kills a process that a failed test left. */
export function endWith(t: { teardown(fn: () => void): void }, life: Life): Life {
  t.teardown(() => {
    if (life.child.exitCode === null && life.child.signalCode === null) life.child.kill('SIGKILL')
  })
  return life
}

export interface Stored {
  /** Bytes of a source that are stored as read, by its path in the folder. */
  readonly positions: ReadonlyMap<string, number>
  readonly letters: readonly Letter[]
}

/** Files of the state, with SQLite's: without its journal a file whose first transaction was cut off is torn. */
const STATE_FILES = ['state.db', 'letters.db'].flatMap(name => [name, `${name}-wal`, `${name}-journal`])

/** What lies in the state of a killed program, read from a copy: the files themselves stay as the kill left them. */
export function leftIn(folder: string, state = join(folder, 'state')): Stored {
  const copy = mkdtempSync(join(tmpdir(), 'penstock-kill-'))
  try {
    for (const name of STATE_FILES) {
      if (existsSync(join(state, name))) copyFileSync(join(state, name), join(copy, name))
    }
    // Not read only: a transaction that was cut off is rolled back in the copy.
    return storedIn(folder, copy, false)
  } finally {
    rmSync(copy, { recursive: true })
  }
}

/** What lies in the state, read beside the program. */
export function storedIn(folder: string, state = join(folder, 'state'), readOnly = true): Stored {
  const positions = rowsOf(join(state, 'state.db'), readOnly, 'positions', 'SELECT position FROM positions').map(
    ({ position }) => {
      const { path, offset } = JSON.parse(String(position)) as { path: string; offset: number }
      return [relative(folder, path), offset] as const
    },
  )
  const letters = rowsOf(join(state, 'letters.db'), readOnly, 'letters', 'SELECT stage, step, bytes FROM letters')
  return {
    positions: new Map(positions),
    letters: letters.map(({ stage, step, bytes }) => ({
      stage: String(stage),
      step: String(step),
      text: Buffer.from(bytes as Uint8Array).toString(),
    })),
  }
}

function rowsOf(path: string, readOnly: boolean, table: string, sql: string): Record<string, unknown>[] {
  if (!existsSync(path)) return []
  const db = new DatabaseSync(path, { readOnly, timeout: 10_000 })
  try {
    // A start may have been cut off before the first table was made.
    const made = db.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table)
    return made ? db.prepare(sql).all() : []
  } finally {
    db.close()
  }
}

/** `penstock dlq list --json`: every dead letter, as a user gets them. */
export async function listedLetters(folder: string, args: readonly string[] = []): Promise<Letter[]> {
  const child = spawn(process.execPath, [MAIN, 'dlq', 'list', '--json', '--limit', '1000000', ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  for await (const data of child.stdout.setEncoding('utf8')) text += data
  return text
    .split('\n')
    .filter(Boolean)
    .map(line => {
      const { stage, step, bytes } = JSON.parse(line) as { stage: string; step: string; bytes: string }
      return { stage, step, text: Buffer.from(bytes, 'base64').toString() }
    })
}

/** The files of an output, below a folder or beside a name, oldest first; compressed ones by their ending. */
export function filesOf(folder: string, begin: string): string[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names.filter(name => name.startsWith(begin) && /\.(ndjson|gz|zst)$/.test(name)).map(name => join(folder, name))
}

/** The text of a file. `torn`: what a kill has left at its end is left out (half a line, half a member). */
export function textOf(path: string, torn = false): string {
  const bytes = readFileSync(path)
  if (path.endsWith('.ndjson')) {
    const text = bytes.toString()
    return torn ? text.slice(0, text.lastIndexOf('\n') + 1) : text
  }
  if (bytes.length === 0) return ''
  const unpack = path.endsWith('.gz') ? gunzipSync : zstdDecompressSync
  try {
    return unpack(bytes).toString()
  } catch (error) {
    if (!torn) throw new Error(`${path} cannot be unpacked`, { cause: error })
    return wholeMembers(bytes, path.endsWith('.gz') ? Buffer.from([0x1f, 0x8b, 8]) : Buffer.from('28b52ffd', 'hex'), unpack)
  }
}

/** The members before the first one that is cut off, found by their first bytes and by unpacking them. */
function wholeMembers(bytes: Buffer, magic: Buffer, unpack: (bytes: Buffer) => Buffer): string {
  let text = ''
  let start = 0
  for (let end = bytes.indexOf(magic, 1); end > 0; end = bytes.indexOf(magic, end + 1)) {
    try {
      text += unpack(bytes.subarray(start, end)).toString()
      start = end
    } catch {
      // The first bytes of a member, but inside of one.
    }
  }
  return text
}

/** Lines of a text that ends in a line end; what follows the last one counts as a line too, and no audit will know it. */
export function linesOf(text: string): string[] {
  return text.split('\n').filter(line => line !== '')
}

/** The engine's own counters: what does not balance, as sentences, and how much is in flight. */
export async function balance(
  port: number,
): Promise<{ readonly wrong: string[]; readonly inFlight: number; readonly read: number }> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const value = (name: string, ...labels: string[]) => {
    const line = text.split('\n').find(line => line.startsWith(`${name}{`) && labels.every(label => line.includes(label)))
    if (line === undefined) throw new Error(`no ${name} ${labels} in\n${text}`)
    return Number(line.slice(line.lastIndexOf(' ')))
  }
  const events = (fate: string) => value('penstock_events_total', `fate="${fate}"`)
  const wrong: string[] = []
  const came = events('read') + events('created')
  const fates = ['dropped', 'duplicate', 'unrouted', 'dead_lettered', 'routed']
  const went = fates.reduce((sum, fate) => sum + events(fate), 0)
  if (came !== went) wrong.push(`read and created ${came}, but ${went} went on: ${fates.map(fate => `${fate} ${events(fate)}`)}`)
  let inFlight = 0
  for (const [, step = ''] of text.matchAll(/^penstock_output_in_flight\{.*step="(\w+)"/gm)) {
    const of = (fate: string) => value('penstock_output_events_total', `step="${step}"`, `fate="${fate}"`)
    const open = value('penstock_output_in_flight', `step="${step}"`)
    inFlight += open
    const done = of('delivered') + of('dead_lettered')
    if (of('routed') !== done + open) wrong.push(`${step}: routed ${of('routed')}, done ${done}, in flight ${open}`)
  }
  return { wrong, inFlight, read: events('read') }
}
