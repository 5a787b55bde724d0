// npm run soak: the real program for minutes or hours, on a source whose rate changes and an output that fails in every way.
//   npm run soak -- [--minutes 30] [--keep]      --keep: the folder stays
// It is stopped and killed again and again in the first quarter of the time, then left alone, and its memory, handles, files and state
// are watched. At the end every line that was written must have been delivered to both outputs or lie in the dead letters.
// Exit code 1: something was lost or invented, a stop was not clean, or a figure grows (see samples.ts for when it does).
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { columns } from '../../core/cli/terminal.ts'
import { openStore } from '../../core/state/store.ts'
import { OUTAGES, startDestination } from './destination.ts'
import { type Engine, startEngine } from './engine.ts'
import { type Sample, trendOf, WATCHED } from './samples.ts'
import { idOf, lineOf, startSource } from './source.ts'

const SAMPLE_MS = 2_000
const TOLD_MS = 30_000
const OUTAGE_MS = 4_000
const BETWEEN_OUTAGES_MS = 7_000
const MOST_RESTART_MS = 13_000
const MOST_RESTARTS_MS = 300_000
const MOST_WARM_UP_MS = 180_000
/** How long the last lines may take. */
const DRAIN_MS = 120_000
/** The server refuses every so-manyth line for good. */
const REFUSED_EVERY = 3_001

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, keep: { type: 'boolean', default: false } },
})
const total = Number(values.minutes) * 60_000
if (!(total >= 60_000)) throw new Error(`--minutes takes a number from 1 on, not ${values.minutes}`)
const restartsUntil = Math.min(total / 4, MOST_RESTARTS_MS)
const restartEvery = Math.min(restartsUntil / 4, MOST_RESTART_MS)
const warmUp = Math.min((total - restartsUntil) / 4, MOST_WARM_UP_MS)

const folder = mkdtempSync(join(tmpdir(), 'penstock-soak-'))
const begun = performance.now()
const passed = () => performance.now() - begun
const say = (text: string) => console.log(`${(passed() / 60_000).toFixed(1).padStart(5)} min  ${text}`)
const wrong: string[] = []

/** How often each line came out. */
const came = { http: new Map<number, number>(), file: new Map<number, number>() }
/** Lines in the dead letters: by an output, or '' for those that got nowhere. */
const buried = new Map<string, Set<number>>()
const isBuried = (output: string, line: number) => (buried.get('')?.has(line) || buried.get(output)?.has(line)) ?? false
const isDone = (line: number) =>
  (Object.keys(came) as (keyof typeof came)[]).every(output => came[output].has(line) || isBuried(output, line))
let highest = -1
const take = (output: keyof typeof came, text: string) => {
  const line = lineOf(text)
  highest = Math.max(highest, line)
  came[output].set(line, (came[output].get(line) ?? 0) + 1)
}

const destination = await startDestination(text => {
  const line = lineOf(text)
  if (line % REFUSED_EVERY === REFUSED_EVERY - 1) return true
  take('http', text)
  return false
})
writeFileSync(
  join(folder, 'soak.yaml'),
  JSON.stringify({
    name: 'soak',
    grace_ms: 3_000,
    http: { port: 0 },
    inputs: [
      {
        type: 'file',
        id: 'in',
        paths: ['in/app.log*'],
        follow: true,
        missing: 'wait',
        rotate_wait_ms: 1_000,
        forget_after_ms: 30_000,
      },
    ],
    filters: [{ type: 'ecs' }, { type: 'dedupe', expire_ms: 20_000, max_keys: 100_000 }],
    outputs: [
      {
        type: fileURLToPath(new URL('http-output.ts', import.meta.url)),
        id: 'http',
        url: `http://127.0.0.1:${destination.port}/`,
        retry: { min_ms: 50, max_ms: 1_000 },
      },
      { type: 'file', id: 'file', path: 'out/all.ndjson', rotate_bytes: 1_000_000 },
    ],
  }),
)
const source = startSource(join(folder, 'in'))
let engine: Engine = startEngine(folder)
const troubles = new Map<string, number>()
const starts = { clean: 0, killed: 0 }
let samples: Sample[] = []

/** Takes over what lies in files that are rotated and done, so that the disk does not fill. */
function readRotated(all: boolean): void {
  const out = join(folder, 'out')
  for (const name of existsSync(out) ? readdirSync(out) : []) {
    if (!all && name === 'all.ndjson') continue
    for (const line of readFileSync(join(out, name), 'utf8').split('\n')) if (line) take('file', line)
    unlinkSync(join(out, name))
  }
}

/** Takes over the dead letters, while no engine runs, and removes them: their number grows with what is refused, and is no leak. */
async function readLetters(): Promise<void> {
  const store = await openStore(join(folder, 'state'))
  for (let after = 0; ; ) {
    const page = await store.letters.list({ after, limit: 1_000 })
    for (const { id, stage, step, bytes } of page) {
      after = id
      const output = stage === 'output' ? step : ''
      const lines = buried.get(output) ?? new Set()
      buried.set(output, lines.add(lineOf(Buffer.from(bytes).toString('utf8'))))
    }
    if (page.length === 0) break
  }
  await store.letters.remove({})
  await store.close()
}

/** Ends the engine, and sees that a stop is a clean one. */
async function endEngine(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const { over } = engine
  engine.kill(signal)
  const end = await Promise.race([engine.ended, sleep(30_000, 'still running after 30 s' as const)])
  for (const [error, count] of engine.troubles) troubles.set(error, (troubles.get(error) ?? 0) + count)
  if (!over && end === (signal === 'SIGTERM' ? 0 : signal)) {
    starts[signal === 'SIGTERM' ? 'clean' : 'killed']++
    return
  }
  wrong.push(`${over ? 'it ended by itself' : `after ${signal} it ended`} with ${end}`)
  for (const line of engine.log) console.log(line.slice(0, 300))
  engine.kill('SIGKILL')
  await engine.ended
}

async function outages(signal: AbortSignal): Promise<void> {
  for (let count = 0; ; count++) {
    await sleep(BETWEEN_OUTAGES_MS, undefined, { signal })
    await destination.turn(OUTAGES[count % OUTAGES.length] as (typeof OUTAGES)[number])
    await sleep(OUTAGE_MS, undefined, { signal })
    await destination.turn('ok')
  }
}

try {
  say(
    `in ${folder}; restarts for ${(restartsUntil / 60_000).toFixed(1)} min, then one run of which the first ${(warmUp / 60_000).toFixed(1)} min do not count`,
  )
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort())
  const failing = outages(stopping.signal).catch(() => {})
  let restarted = 0
  let told = 0
  while (passed() < total && !stopping.signal.aborted && wrong.length === 0) {
    await sleep(SAMPLE_MS)
    readRotated(false)
    source.tidy(isDone)
    const sample = await engine.sample()
    if (sample) samples.push(sample)
    if (engine.over) {
      await endEngine('SIGTERM')
      break
    }
    if (passed() < restartsUntil && passed() - restarted >= restartEvery) {
      restarted = passed()
      await endEngine((starts.clean + starts.killed) % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
      await readLetters()
      engine = startEngine(folder)
      samples = []
    }
    if (passed() - told < TOLD_MS) continue
    told = passed()
    const now = WATCHED.map(({ name, unit }) => `${name} ${sample?.values[name]?.toFixed(0) ?? '?'}${unit && ` ${unit}`}`)
    say(`${source.written} lines written, ${came.http.size} and ${came.file.size} came out; ${now.join(', ')}`)
  }
  stopping.abort()
  await failing
  await destination.turn('ok')
  source.stop()
  const deadline = passed() + DRAIN_MS
  // What is not delivered by then shows in the ledger.
  while (passed() < deadline && highest < source.written - 3 && !engine.over) await sleep(SAMPLE_MS)
  await sleep(SAMPLE_MS)
  await endEngine('SIGTERM')
  readRotated(true)
  await readLetters()

  const rows = (Object.keys(came) as (keyof typeof came)[]).map(output => {
    let lost = 0
    let twice = 0
    let letters = 0
    for (let line = 0; line < source.written; line++) {
      const times = came[output].get(line) ?? 0
      if (times > 1) twice += times - 1
      if (times > 0) continue
      if (isBuried(output, line)) letters++
      else if (lost++ < 5) say(`${idOf(line)} did not come out of ${output} and is no dead letter`)
    }
    const invented = [...came[output].keys()].filter(line => !(line >= 0 && line < source.written)).length
    if (lost > 0) wrong.push(`${output}: ${lost} lines were lost`)
    if (invented > 0) wrong.push(`${output}: ${invented} lines came out that nobody wrote`)
    return [output, ...[source.written, came[output].size, letters, twice, lost].map(String)]
  })
  console.log(`\n${columns([['output', 'written', 'delivered', 'dead letters', 'repeats', 'lost'], ...rows], [1, 2, 3, 4, 5])}`)
  const met = Object.entries(destination.met).map(([mood, count]) => `${count} ${mood}`)
  console.log(
    `stopped ${starts.clean} times, killed ${starts.killed} times; rotations: ${source.rotations}; requests: ${met.join(', ')}`,
  )
  console.log(`what the program said of its output: ${[...troubles].map(([error, count]) => `${count} x ${error}`).join(', ')}`)
  if (total >= 120_000 && ![...troubles.keys()].some(error => error.includes('ECONNREFUSED')))
    wrong.push('no request met the closed port: it proves nothing')
  for (const mood of ['hang', 'busy', 'slow', 'cut'] as const)
    if (total >= 120_000 && destination.met[mood] === 0) wrong.push(`no request met the outage "${mood}": it proves nothing`)

  const counted = samples.filter(({ at }) => at >= warmUp)
  const minutes = ((counted.at(-1)?.at ?? 0) - (counted[0]?.at ?? 0)) / 60_000
  const trends = WATCHED.map(watched => {
    const { first, median, most, last, slope, verdict } = trendOf(watched, counted)
    if (verdict === 'GROWS') wrong.push(`${watched.name} grows`)
    const figures = [first, median, most, last].map(value => value.toFixed(1))
    return [`${watched.name}${watched.unit && ` (${watched.unit})`}`, ...figures, slope.toFixed(1), verdict]
  })
  console.log(`\n${counted.length} samples over ${minutes.toFixed(1)} min`)
  console.log(columns([['', 'first', 'median', 'most', 'last', 'an hour', ''], ...trends], [1, 2, 3, 4, 5]))
} finally {
  engine.kill('SIGKILL')
  await destination.close()
  if (!values.keep) rmSync(folder, { recursive: true, force: true })
}
console.log(wrong.length > 0 ? `FAILED: ${wrong.join('; ')}` : '0 lost')
process.exitCode = wrong.length > 0 ? 1 : 0
