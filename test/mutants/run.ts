// npm run mutants: puts one known fault after the other into a copy of the checkout, and looks whether the tests see it.
//   npm run mutants                      all of them; exit code 1 when one survives or its source text is gone
//   npm run mutants -- --part 3/10       the third tenth
//   npm run mutants -- --rotate          about five, others with each commit: for continuous integration
//   npm run mutants -- --only NAME …     these
//   npm run mutants -- --list            their names, and what each one breaks
import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { columns } from '../../core/cli/terminal.ts'
import { mutants as all } from './all.ts'
import { type Checkout, copyCheckout, type TestRun } from './checkout.ts'
import { type Mutant, mutate } from './mutant.ts'

const AT_ONCE = 2
/** How many `--rotate` takes, about. */
const ROTATED = 5
/** A test that takes so many times as long as without a fault, and at least so long, hangs; unless the machine itself does, see below. */
const HANG_FACTOR = 3
const HANG_MS = 10_000

const root = fileURLToPath(new URL('../..', import.meta.url))
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean' },
    only: { type: 'boolean' },
    part: { type: 'string' },
    rotate: { type: 'boolean' },
  },
})

if (flags.list) console.log(columns(all.map(({ name, file, breaks }) => [name, file, breaks])))
else process.exitCode = (await runAll(await chosen())) ? 0 : 1

/** The mutants that the flags ask for. */
async function chosen(): Promise<readonly Mutant[]> {
  if (flags.only) {
    const unknown = positionals.filter(name => !all.some(mutant => mutant.name === name))
    if (positionals.length === 0 || unknown.length > 0)
      throw new Error(`--only wants names of mutants (see --list)${unknown.length > 0 ? `, not ${unknown.join(', ')}` : ''}`)
    return all.filter(({ name }) => positionals.includes(name))
  }
  if (positionals.length > 0) throw new Error(`what is ${positionals[0]}? Names of mutants follow --only`)
  if (flags.part !== undefined) {
    const [, part, parts] = /^(\d+)\/(\d+)$/.exec(flags.part) ?? []
    if (!(Number(part) >= 1 && Number(part) <= Number(parts))) throw new Error(`--part wants 3/10 or the like, not ${flags.part}`)
    return partOf(Number(part), Number(parts))
  }
  if (!flags.rotate) return all
  const parts = Math.ceil(all.length / ROTATED)
  const commit = await promisify(execFile)('git', ['rev-parse', 'HEAD'], { cwd: root }).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  )
  const day = Math.floor(Date.now() / 86_400_000)
  const part = ((commit ? Number.parseInt(commit.slice(0, 8), 16) : day) % parts) + 1
  console.log(`part ${part}/${parts}, by ${commit ? `commit ${commit.slice(0, 8)}` : `day ${day}`}`)
  return partOf(part, parts)
}

/** Every so-manyth one: each part has some of every area. */
function partOf(part: number, parts: number): readonly Mutant[] {
  return all.filter((_, index) => index % parts === part - 1)
}

/** True when all were caught. */
async function runAll(mutants: readonly Mutant[]): Promise<boolean> {
  const started = performance.now()
  const folder = await mkdtemp(join(tmpdir(), 'penstock-mutants-'))
  // Some tests give up root's rights, and must find their files then.
  await chmod(folder, 0o755)
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stopping.abort())
  try {
    const copies = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) => copyCheckout(root, join(folder, String(index)), stopping.signal)),
    )
    const limits = await soundTests(mutants, copies, stopping.signal)
    if (!limits) return false
    const width = Math.max(...mutants.map(({ name }) => name.length))
    const verdicts = { caught: 0, survived: 0, stale: 0 }
    await spread(mutants, copies, stopping.signal, async (mutant, copy) => {
      const { verdict, line } = await judge(mutant, copy, limits)
      if (stopping.signal.aborted) return
      verdicts[verdict]++
      console.log(`${verdict === 'caught' ? 'caught  ' : verdict.toUpperCase().padEnd(8)}  ${mutant.name.padEnd(width)}  ${line}`)
    })
    const { caught, survived, stale } = verdicts
    console.log(`in ${((performance.now() - started) / 1000).toFixed(0)} s`)
    console.log(`${caught} caught, ${survived} survived${stale > 0 ? `, ${stale} stale` : ''}`)
    return caught === mutants.length
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

/** Runs all tests on sound code first, for a failure that was there before proves nothing. Gives each one's limit of time. */
async function soundTests(
  mutants: readonly Mutant[],
  copies: readonly Checkout[],
  signal: AbortSignal,
): Promise<Map<string, number> | undefined> {
  const limits = new Map<string, number>()
  let sound = true
  await spread([...new Set(mutants.flatMap(({ tests }) => tests))], copies, signal, async (test, copy) => {
    const { outcome, seconds, title, output } = await copy.test(test, 300_000)
    limits.set(test, Math.max(HANG_MS, seconds * 1_000 * HANG_FACTOR))
    if (outcome === 'passed' || signal.aborted) return
    sound = false
    console.log(`${test} fails without any fault (${outcome}): ${title}\n${output}`)
  })
  if (!sound) console.log('no fault was tried: the tests must pass first')
  return sound && !signal.aborted ? limits : undefined
}

async function judge(
  mutant: Mutant,
  copy: Checkout,
  limits: Map<string, number>,
): Promise<{ verdict: 'caught' | 'survived' | 'stale'; line: string }> {
  const { file, find, breaks } = mutant
  const source = await copy.read(file).catch(() => '')
  const broken = mutate(source, mutant)
  if (broken === undefined) {
    const times = source.split(find).length - 1
    return { verdict: 'stale', line: `${file} has this text ${times} times, and should once: ${JSON.stringify(find)}` }
  }
  await copy.write(file, broken)
  try {
    if (!(await copy.parses(file))) return { verdict: 'stale', line: `${file} is no TypeScript with this fault` }
    let seconds = 0
    let run: TestRun | undefined
    for (const test of mutant.tests) {
      run = await tryTest(test, copy, { file, source, broken }, limits)
      seconds += run.seconds
      if (run.outcome === 'passed') continue
      const hang = run.outcome === 'hang' ? 'hang, ' : ''
      return { verdict: 'caught', line: `${seconds.toFixed(1).padStart(5)} s  ${hang}${test}: ${run.title}` }
    }
    return { verdict: 'survived', line: `${seconds.toFixed(1).padStart(5)} s  ${mutant.tests.join(', ')}: "${breaks}" (${file})` }
  } finally {
    await copy.write(file, source)
  }
}

/** Runs a test on the fault. One that hangs must not hang without it: then the machine is busier than it was, and it gets more time. */
async function tryTest(
  test: string,
  copy: Checkout,
  { file, source, broken }: { file: string; source: string; broken: string },
  limits: Map<string, number>,
): Promise<TestRun> {
  for (;;) {
    const limit = limits.get(test) as number
    const run = await copy.test(test, limit)
    if (run.outcome !== 'hang') return run
    await copy.write(file, source)
    const sound = await copy.test(test, limit)
    await copy.write(file, broken)
    if (sound.outcome !== 'hang') return run
    limits.set(test, limit * 2)
  }
}

/** Does the work on all copies at once, one piece on each at a time. */
async function spread<T>(
  work: readonly T[],
  copies: readonly Checkout[],
  signal: AbortSignal,
  each: (piece: T, copy: Checkout) => Promise<void>,
): Promise<void> {
  const left = [...work]
  await Promise.all(
    copies.map(async copy => {
      while (left.length > 0 && !signal.aborted) await each(left.shift() as T, copy)
    }),
  )
}
