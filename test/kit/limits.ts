// The real program, watched while faults happen to it: under limits, with other preloads, with its log read as it comes.
import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import { CANARY_VARIABLE, canary, leaks } from './canary.ts'
import { root } from './cases.ts'
import type { Ran } from './process.ts'
import { full } from './rounds.ts'
import { until as soon } from './until.ts'

/** For the `skip` of tests that are variants of others. */
export const onlyFull = full ? false : 'only in npm run test:full'

export interface LogLine {
  readonly level: string
  readonly pipeline: string
  readonly step?: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface Engine {
  readonly child: ChildProcess
  readonly pid: number
  readonly ended: Promise<Ran>
  /** False once it is over. */
  running(): boolean
  stderr(): string
  /** The lines of its log so far. */
  log(): readonly LogLine[]
  /** How many log lines so far have such a message. */
  told(message: RegExp): number
  /** Asks its HTTP server, which the pipeline must have on port 0. */
  ask(path: string): Promise<{ readonly status: number | undefined; readonly body: string }>
  /** Its counters: `penstock_events_total{pipeline="p",fate="read"}` → value. */
  counters(): Promise<Map<string, number>>
  stop(signal?: NodeJS.Signals): Promise<Ran>
}

export interface EngineOptions {
  readonly args?: readonly string[]
  /** A command that starts it: `['prlimit', '--nofile=64']`. */
  readonly prefix?: readonly string[]
  /** Modules that are loaded first. */
  readonly preloads?: readonly string[]
  readonly nodeFlags?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** Starts `penstock run p.yaml` in this folder; it is gone when the test ends. */
export function engine(t: Pick<Test, 'teardown'>, cwd: string, options: EngineOptions = {}): Engine {
  const { prefix = [], preloads = [], nodeFlags = [], args = ['run', 'p.yaml'], env } = options
  const flags = [...nodeFlags, ...preloads.flatMap(preload => ['--import', preload])]
  const more = args[0] === 'run' ? ['--log-format', 'json', '--no-progress'] : []
  // The runner sets NODE_OPTIONS whatever `env` says; env(1) comes after it and keeps the process's id.
  const command = ['NODE_OPTIONS=', ...prefix, process.execPath, ...flags, join(root, 'core/cli/main.ts'), ...args, ...more]
  const child = spawn('env', command, {
    cwd,
    env: {
      ...process.env,
      NODE_V8_COVERAGE: undefined,
      npm_lifecycle_event: undefined,
      [CANARY_VARIABLE]: canary('env'),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  const log: LogLine[] = []
  let parsed = 0
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    for (let end = stderr.indexOf('\n', parsed); end >= 0; end = stderr.indexOf('\n', parsed)) {
      if (stderr.startsWith('{"level"', parsed)) log.push(JSON.parse(stderr.slice(parsed, end)) as LogLine)
      parsed = end + 1
    }
  })
  let isOver = false
  const ended = new Promise<Ran>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', async (code, signal) => {
      isOver = true
      const wrong = await leaks(cwd, { stdout, stderr })
      if (wrong.length === 0) resolve({ code, signal, stdout, stderr })
      else reject(new Error(wrong.join('; ')))
    })
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended.catch(() => {})
  })
  const ask: Engine['ask'] = async path => {
    const port = () => log.find(line => line['port'] !== undefined)?.['port'] as number | undefined
    await until('it listens', () => port() !== undefined)
    return new Promise((resolve, reject) => {
      get({ host: '127.0.0.1', port: port() as number, path, agent: false }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text
        })
        response.on('end', () => resolve({ status: response.statusCode, body }))
      }).on('error', reject)
    })
  }
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    running: () => !isOver,
    stderr: () => stderr,
    log: () => log,
    told: message => log.filter(line => message.test(line.message)).length,
    ask,
    async counters() {
      const { body } = await ask('/metrics')
      return new Map([...body.matchAll(/^(penstock_\S+) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]))
    },
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return ended
    },
  }
}

/** Runs another command of the program to its end. */
export function command(t: Pick<Test, 'teardown'>, cwd: string, ...args: readonly string[]): Promise<Ran> {
  return engine(t, cwd, { args }).ended
}

/** Resolves when this has happened; after a minute it says what has not. */
export async function until(what: string, happened: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  await soon(happened, () => what, { ms, every: 25 })
}

/** Writes p.yaml (or another file of this name); YAML reads JSON. */
export function pipeline(cwd: string, steps: object, name = 'p'): void {
  writeFileSync(join(cwd, `${name}.yaml`), JSON.stringify({ name, ...steps }))
}

/** Events with the numbers from `from` up to `to`, one JSON document a line, each `bytes` longer than it must be. */
export function events(from: number, to: number, bytes = 0): string {
  const pad = 'x'.repeat(bytes)
  let text = ''
  for (let n = from; n < to; n++) text += `{"n":${n},"event":{"id":"e${n}"},"pad":"${pad}"}\n`
  return text
}

/** Appends such events to the input. */
export function feed(file: string, from: number, to: number, bytes = 0): void {
  appendFileSync(file, events(from, to, bytes))
}

/** How many whole lines a file has. */
export function lineCount(file: string): number {
  if (!existsSync(file)) return 0
  const bytes = readFileSync(file)
  let count = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++
  return count
}

/** The numbers of the events in a file, in its order. A line that is torn throws. */
export function numbers(...files: readonly string[]): number[] {
  const found: number[] = []
  for (const file of files) {
    if (!existsSync(file)) continue
    const lines = readFileSync(file, 'utf8').split('\n')
    // What is being written just now.
    lines.pop()
    for (const line of lines) found.push((JSON.parse(line) as { n: number }).n)
  }
  return found
}

/** What is wrong with delivered numbers where those from 0 up to `count` should be, each at least once, or `exactly` once. */
export function wrong(found: readonly number[], count: number, exactly = false): string[] {
  const seen = new Set(found)
  const lost = Array.from({ length: count }, (_, n) => n).filter(n => !seen.has(n))
  const invented = [...seen].filter(n => !(n >= 0 && n < count))
  const faults: string[] = []
  if (lost.length > 0) faults.push(`${lost.length} lost: ${lost.slice(0, 5)} …`)
  if (invented.length > 0) faults.push(`${invented.length} invented: ${invented.slice(0, 5)} …`)
  if (exactly && found.length !== seen.size) faults.push(`${found.length - seen.size} delivered twice`)
  return faults
}

/** The conservation law by the engine's own counters; gives the sentences that do not hold. */
export async function imbalances(running: Engine): Promise<string[]> {
  const counters = await running.counters()
  const sum = (of: RegExp) => [...counters].reduce((total, [name, value]) => (of.test(name) ? total + value : total), 0)
  const faults: string[] = []
  const inside = sum(/^penstock_events_total.*fate="(read|created)"/)
  const gone = sum(/^penstock_events_total.*fate="(dropped|duplicate|unrouted|dead_lettered|routed)"/)
  if (inside !== gone) faults.push(`read and created ${inside}, accounted for ${gone}`)
  const routed = sum(/^penstock_output_events_total.*fate="routed"/)
  const settled = sum(/^penstock_output_events_total.*fate="(delivered|dead_lettered)"/) + sum(/^penstock_output_in_flight/)
  if (routed !== settled) faults.push(`routed ${routed}, settled or in flight ${settled}`)
  return faults
}

/** The stored positions, read beside a running engine. */
export function positions(stateDir: string): { readonly pipeline: string; readonly position: Record<string, unknown> }[] {
  return rowsOf(join(stateDir, 'state.db'), 'SELECT pipeline, position FROM positions').map(row => ({
    pipeline: String(row['pipeline']),
    position: JSON.parse(String(row['position'])) as Record<string, unknown>,
  }))
}

/** How far the only file of an input is acknowledged, in bytes. */
export function acknowledged(stateDir: string): number {
  return Number(positions(stateDir)[0]?.position['offset'] ?? 0)
}

/** The source bytes of the dead letters, as text. */
export function deadLetters(stateDir: string): string[] {
  return rowsOf(join(stateDir, 'letters.db'), 'SELECT bytes FROM letters ORDER BY id').map(({ bytes }) =>
    Buffer.from(bytes as Uint8Array).toString('utf8'),
  )
}

/** Where the events of the dead letters failed: decode, transform, output. */
export function stages(stateDir: string): string[] {
  return rowsOf(join(stateDir, 'letters.db'), 'SELECT stage FROM letters ORDER BY stage').map(({ stage }) => String(stage))
}

function rowsOf(file: string, sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
  try {
    return db.prepare(sql).all()
  } finally {
    db.close()
  }
}
