// kill -9 at every named point of the state's and the file output's way to the disk: before, in the middle of and after each call that
// writes. A first run without a kill says which points there are.
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import type { Life } from '../kit/kill-run.ts'
import { type Compression, type Note, Scene, told } from '../kit/kill-scene.ts'
import type { Totals } from '../kit/ledger.ts'
import { full, randomOf, rounds, seed } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'

/** Kills of the tenth; a full run has as many as there are points, and more. */
const KILLS = rounds(70)
const LANES = full ? 2 : 1
/** How often points that were not met are tried again. */
const MOST_TRIES = 20
const COMPRESSIONS: readonly Compression[] = ['gzip', 'zstd', 'none']
/**
 * A start that makes everything, and one that finds it there with half a line at its end, have other points. What comes later than a
 * short life lasts needs a program that goes on.
 */
type Start = 'fresh' | 'again' | 'late'
/** The room that is kept for a full disk is taken a while after the start: the last of it. */
const LATE = 'state/letters.db: BEGIN IMMEDIATE; INSERT INTO reserve, after'
/** What a short life comes to only on a busy machine. */
const LATE_POINTS = /reserve|cache_size|wal_checkpoint/
interface Target {
  readonly start: Start
  readonly point: string
  readonly n: number
}

t.setTimeout(900_000)

/** The points of a run, each with how often it was passed. */
function pointsOf(notes: readonly Note[]): Map<string, number> {
  const points = new Map<string, number>()
  for (const { point, n = 0 } of notes) if (point) points.set(point, Math.max(points.get(point) ?? 0, n))
  return points
}

/** Runs without a kill, from nothing, then on what is there, then on and on; all points, and how often each is met. */
async function record(t: Test): Promise<Record<Start, Map<string, number>>> {
  const scene = new Scene(t.testdir({}), { random: randomOf(200) })
  scene.more(20)
  const first = await scene.start(t, 'once', {}).ended
  t.equal(first.code, 0, first.stderr)
  const fresh = pointsOf(scene.notes())
  scene.more(20)
  const torn = await scene.start(t, 'once', { at: HALF }).ended
  t.equal(torn.signal, 'SIGKILL', torn.stderr)
  scene.more(20)
  const second = await scene.start(t, 'once', {}).ended
  t.equal(second.code, 0, second.stderr)
  const again = pointsOf(scene.notes())
  scene.more(20)
  const life = scene.start(t, 'follow', {})
  await stopLate(scene, life)
  const third = await life.ended
  t.equal(third.code, 0, third.stderr)
  const late = pointsOf(scene.notes())
  for (const points of [fresh, again])
    for (const point of points.keys()) if (late.has(point)) (LATE_POINTS.test(point) ? points : late).delete(point)
  return { fresh, again, late }
}

const HALF = 'out/all.ndjson: write, half done #1'

/** Stops a program that goes on once it has done all that it does late. */
async function stopLate(scene: Scene, life: Life): Promise<void> {
  let over = false
  void life.ended.then(() => {
    over = true
  })
  await until(() => over || scene.notes().some(({ point }) => point === LATE), life.stderr)
  life.child.kill('SIGTERM')
}

/** What is done again and again while events flow. */
const OFTEN = /COMMIT of|INSERT INTO|half done|datasync|rename|create/

/** The first time of each point; of what is done often also the last one, and one in between. */
function targetsOf(points: Record<Start, Map<string, number>>, random: () => number): Target[] {
  const targets: Target[] = []
  for (const start of ['again', 'fresh', 'late'] as const) {
    for (const [point, n] of points[start]) {
      if (start === 'fresh' && points.again.has(point)) continue
      targets.push({ start, point, n: 1 })
      if (start === 'late' || !OFTEN.test(point)) continue
      if (n > 2) targets.push({ start, point, n: 2 + Math.floor(random() * (n - 2)) })
      if (n > 1) targets.push({ start, point, n })
    }
  }
  return targets
    .map(target => ({ target, dice: random() }))
    .sort((a, b) => a.dice - b.dice)
    .map(({ target }) => target)
}

interface Tally {
  killed: number
  readonly totals: Totals[]
  /** Points that were killed at. */
  readonly points: Set<string>
  /** Targets that a life did not come to. */
  missed: number
}

/** One folder: a kill at a point of the first start, then others, then to the end. */
async function chain(t: Test, scene: Scene, targets: readonly Target[], tally: Tally, random: () => number): Promise<Target[]> {
  const missed: Target[] = []
  for (const target of targets) {
    // What only half a line brings about needs one.
    if (target.point.includes('truncate')) await life(HALF, 'once')
    if (!(await life(`${target.point} #${target.n}`, target.start === 'late' ? 'follow' : 'once'))) missed.push(target)
    else tally.points.add(target.point)
  }
  if (random() < 0.25) await scene.finish(t)
  else await scene.complete(t)
  tally.totals.push(scene.totals())
  return missed

  async function life(at: string, how: 'once' | 'follow'): Promise<boolean> {
    scene.more(20)
    const life = scene.start(t, how, { at, dice: random() })
    if (how === 'follow') await stopLate(scene, life)
    const { signal, code, stderr } = await life.ended
    if (signal === 'SIGKILL') {
      t.ok(
        scene.notes().some(({ killed, killing }) => (killed ?? killing) === at),
        `killed at ${at}`,
      )
      tally.killed++
    } else t.equal(code, 0, `${at}: ${stderr}`)
    t.same(scene.afterKill(), [], `${at}: what lies before the stored positions is settled`)
    return signal === 'SIGKILL'
  }
}

t.test('rows 3, 4: killed at each point of the writing of state, dead letters and files, nothing is lost', async t => {
  const random = randomOf(201)
  const points = await record(t)
  const all = new Set([...points.fresh.keys(), ...points.again.keys(), ...points.late.keys()])
  // So many that a write of every kind is among them: positions, dead letters, files.
  for (const part of [
    'COMMIT of positions',
    'COMMIT of letters',
    'INSERT INTO reserve',
    'wal_checkpoint',
    'half done',
    'rename',
    'datasync',
    'truncate',
  ])
    t.ok(
      [...all].some(point => point.includes(part)),
      `there are points of ${part}`,
    )
  const targets = targetsOf(points, random)
  // What a folder sees only once begins one.
  const first = targets.filter(({ start }) => start !== 'again')
  const again = targets.filter(({ start }) => start === 'again')
  const chains = full ? first.length : LANES
  const perChain = full ? Math.ceil(again.length / chains) : Math.floor(KILLS / chains) - 1
  const tally: Tally = { killed: 0, totals: [], points: new Set(), missed: 0 }
  const missed: Target[] = []
  let made = 0
  const run = (targets: readonly Target[], compression?: Compression) => {
    const number = made++
    const random = randomOf(300 + number)
    return t.test(`folder ${number}`, async t => {
      const scene = new Scene(t.testdir({}), { random, compression: compression ?? COMPRESSIONS[number % COMPRESSIONS.length]! })
      missed.push(...(await chain(t, scene, targets, tally, random)))
    })
  }
  t.jobs = LANES
  await Promise.all(first.slice(0, chains).map((target, i) => run([target, ...again.slice(i * perChain, (i + 1) * perChain)])))
  tally.missed = missed.length
  // Batches fall otherwise in each run, and more so on a busy machine: the second and later times of a point may not come, the first one
  // must. These folders are written as when the points were recorded.
  const owed = () => [...all].filter(point => !tally.points.has(point))
  for (let tries = 0; full && tries < MOST_TRIES && owed().length > 0; tries++) {
    const of = (point: string): Start => (points.again.has(point) ? 'again' : points.late.has(point) ? 'late' : 'fresh')
    const left = owed().map(point => ({ start: of(point), point, n: 1 }))
    const later = left.filter(({ start }) => start === 'again')
    if (later.length > 0) await run([{ start: 'again', point: HALF, n: 1 }, ...later], 'gzip')
    for (const target of left) if (target.start !== 'again') await run([target], 'gzip')
  }
  if (full) t.same(owed(), [], 'the program was killed at every point')
  t.ok(tally.killed >= KILLS - 2, `${tally.killed} killed`)
  t.comment(
    `seed ${seed}: ${tally.killed} killed at ${tally.points.size} of ${all.size} points in ${made} folders (${tally.missed} targets not met), ` +
      told(tally.totals),
  )
})

/** What a start must cut off: half a line, or the whole of half a member. */
function tornBytes({ half = 0, path = '' }: Note): number {
  if (!path.endsWith('.ndjson')) return half
  const bytes = readFileSync(path)
  return bytes.length - bytes.lastIndexOf(10) - 1
}

for (const compression of full ? (['none', 'gzip', 'zstd'] as const) : [(['gzip', 'zstd'] as const)[seed % 2]!]) {
  t.test(`row 65: half a line, and half a ${compression} member, left by a kill, is cut off at the next start`, async t => {
    const random = randomOf(202)
    const scene = new Scene(t.testdir({}), { random, compression })
    let torn = 0
    for (const at of [HALF, 'out/logins/*: write, half done #1']) {
      scene.more(20)
      const { signal, stderr } = await scene.start(t, 'once', { at, dice: random() }).ended
      t.equal(signal, 'SIGKILL', stderr)
      if (torn > 0) t.match(stderr, `file: cut ${torn} bytes of an unfinished line`)
      const half = scene.notes().find(note => note.half !== undefined)
      torn = tornBytes(half!)
      t.ok(torn > 0, `${torn} bytes of ${half?.path} are torn`)
    }
    const { stderr } = await scene.complete(t)
    t.match(stderr, `file: cut ${torn} bytes of an unfinished line`)
    t.comment(`seed ${seed}: 2 killed, ${told([scene.totals()])}`)
  })
}
