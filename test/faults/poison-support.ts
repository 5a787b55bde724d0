// What the tests with poison data share: a pipeline over some input, what became of each record, and the most memory it took.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { openStore } from '../../core/state/store.ts'
import type { StoredLetter } from '../../core/state/types.ts'
import { type Ran, start } from '../kit/process.ts'

/** Says at the end how much memory the process took at most, in MiB. */
const PEAK = `import { isMainThread } from 'node:worker_threads'
if (isMainThread) process.on('exit', () => process.stderr.write('\\npeak ' + Math.round(process.resourceUsage().maxRSS / 1024) + ' MiB\\n'))`

/** Any use of `__proto__` as an accessor throws; the module above is loaded first. */
export const STRICT = `--disable-proto=throw --import=data:text/javascript,${encodeURIComponent(PEAK)}`

/** No run here takes so long. */
const DEADLINE_MS = 60_000

export interface Outcome extends Ran {
  /** The lines of the output file. */
  readonly lines: readonly string[]
  readonly letters: readonly StoredLetter[]
  /** The numbers of the table at the end, by their names; `delivered` of all outputs together. */
  readonly counts: Readonly<Record<string, number>>
  /** The most memory that the process had, in MiB. */
  readonly peak: number
}

export interface Poison {
  /** Files of the folder, written first. */
  readonly files?: Readonly<Record<string, string | Buffer>>
  /** Standard input. */
  readonly input?: string | Buffer
  readonly workers?: number
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** Writes the files and the pipeline `poison`, with the output out/o.ndjson unless it has others. Gives the command line to run it. */
export function prepare(cwd: string, pipeline: object, files: Poison['files'] = {}): string[] {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true })
    writeFileSync(join(cwd, name), content)
  }
  const outputs = [{ type: 'file', id: 'out', path: 'out/o.ndjson' }]
  writeFileSync(join(cwd, 'poison.yaml'), JSON.stringify({ name: 'poison', outputs, ...pipeline }))
  return ['run', 'poison.yaml']
}

/** Runs a pipeline in a folder to its end. */
export async function through(cwd: string, pipeline: object, poison: Poison = {}): Promise<Outcome> {
  const { files, input, workers = 0, args = [], env } = poison
  const run = prepare(cwd, pipeline, files)
  const { child, ended } = start([...run, '--no-progress', '--log-level', 'warn', '--workers', String(workers), ...args], {
    cwd,
    ...(input !== undefined && { input }),
    env: { NODE_OPTIONS: STRICT, ...env },
  })
  // A run that never ends is a failure that must not outlive its test.
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
  const ran = await ended
  clearTimeout(deadline)
  const counts: Record<string, number> = {}
  for (const [, name = '', number = ''] of ran.stderr.matchAll(
    /^ {2}(read|created|delivered|dropped|duplicates|dead-lettered) +([\d,]+)/gm,
  ))
    counts[name] = (counts[name] ?? 0) + Number(number.replaceAll(',', ''))
  return {
    ...ran,
    lines: linesOf(join(cwd, 'out/o.ndjson')),
    letters: await lettersIn(cwd),
    counts,
    peak: Number(/^peak (\d+) MiB$/m.exec(ran.stderr)?.[1]),
  }
}

/** The lines of a file, cut at `\n` only, as whoever reads NDJSON cuts them; every one must end with it. */
export function linesOf(file: string): string[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  if (lines.pop() !== '') throw new Error(`${file} ends within a line`)
  return lines
}

export async function lettersIn(cwd: string): Promise<StoredLetter[]> {
  const store = await openStore(join(cwd, 'state'), { beside: true })
  try {
    const letters: StoredLetter[] = []
    for (let after = 0; ; after = letters.at(-1)?.id ?? 0) {
      const page = await store.letters.list({ after })
      if (page.length === 0) return letters
      letters.push(...page)
    }
  } finally {
    await store.close()
  }
}

/** Every event that was read is delivered or a dead letter: of one output without filters that drop. */
export function balances(t: Test, { counts, letters }: Outcome, read: number): void {
  t.equal(counts['read'], read, 'all were read')
  t.equal((counts['delivered'] ?? 0) + (counts['dead-lettered'] ?? 0) + (counts['dropped'] ?? 0), read, JSON.stringify(counts))
  t.equal(letters.length, counts['dead-lettered'], 'as many dead letters as were counted')
}

/** A dead letter's source bytes as text. */
export function source({ bytes }: StoredLetter): string {
  return Buffer.from(bytes).toString()
}

/** What a program said, for the message of an assertion: tap loses those that end with a brace or hold ends of lines. */
export function shown(text: string): string {
  const escaped = JSON.stringify(text.slice(-4_000))
  return escaped.replace(/[^ -~]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
