// The thread that fuzzes: one that hangs or dies is seen from outside, with the input it had in hand.
import { parentPort, workerData } from 'node:worker_threads'
import { mutator, oneOf, pick, shrink } from '../kit/mutate.ts'
import { randomOf } from '../kit/rounds.ts'
import { type CorpusFile, corpus, execute, type Target } from './fuzz-target.ts'
import { TARGETS } from './fuzz-targets.ts'

/** What a run is asked for. */
export interface Order {
  /** Targets by name, one after the other, each with so many inputs that are made by mutation. */
  readonly targets: readonly (readonly [name: string, executions: number])[]
  readonly seed: number
  /** Before those, the corpus is given: what a target reads itself with so many variants of the check's choices; 0: no corpus. */
  readonly variants: number
  /** A target ends after so long, however many inputs are left. */
  readonly ms: number
  /** Executions so far, and the length of the input at hand, which stands behind them. */
  readonly shared: SharedArrayBuffer
}

export interface Failure {
  /** The corpus file it came from unchanged, if it is one. */
  readonly file?: string
  readonly input: Uint8Array
  /** What the check put together from it and failed on, where it did. */
  readonly damaged?: Uint8Array
  readonly error: string
}

/** What came of one target. */
export interface Report {
  readonly target: string
  readonly executions: number
  readonly failure?: Failure
}

const FOUND_VARIANTS = 10
/** Inputs that were made by mutation and are mutated further. */
const POOL = 100
/** Longer ones are only replayed. */
const LONGEST = 2048

const order = workerData as Order
const counts = new Int32Array(order.shared, 0, 2)
const atHand = Buffer.from(order.shared, 8)
const files = corpus()
const all = files.map(({ bytes }) => bytes)

type Broken = Pick<Failure, 'error' | 'damaged'>

async function broken(target: Target, input: Buffer, variant = 0): Promise<Broken | undefined> {
  counts[1] = Math.min(input.length, atHand.length)
  atHand.set(input.subarray(0, atHand.length))
  Atomics.add(counts, 0, 1)
  try {
    await execute(target, input, variant)
    return undefined
  } catch (thrown) {
    const { stack, damaged } = thrown as Error & { damaged?: Buffer }
    return { error: stack ?? String(thrown), ...(damaged && { damaged }) }
  }
}

async function work(target: Target, executions: number): Promise<Failure | undefined> {
  const isOwn = ({ name }: CorpusFile) => target.formats.some(format => name.startsWith(`${format}/`))
  for (const file of order.variants > 0 ? files : []) {
    const { name, bytes } = file
    // What found a bug may have done so with few of the choices only.
    const found = name.startsWith(`${target.formats[0]}/found-`)
    const variants = found ? FOUND_VARIANTS : isOwn(file) ? order.variants : 1
    for (let variant = 0; variant < variants; variant++) {
      const failure = await broken(target, bytes, variant)
      if (failure) return { file: name, input: bytes, ...failure }
    }
  }
  const random = randomOf(TARGETS.indexOf(target), order.seed)
  const { mutate } = mutator(random, target.tokens, LONGEST)
  const own = files.filter(isOwn).map(({ bytes }) => bytes)
  const pool: Buffer[] = []
  const until = performance.now() + order.ms
  for (let i = 0; i < executions && performance.now() < until; i++) {
    const from = random()
    const seed = oneOf(random, from < 0.6 ? own : from < 0.8 && pool.length > 0 ? pool : all)
    const start = random() < 0.3 ? pick(random, seed.length) : 0
    const input = mutate(seed.subarray(start, start + LONGEST), from < 0.9 ? own : all)
    if (random() < 0.05) pool[pool.length < POOL ? pool.length : pick(random, POOL)] = input
    const found = await broken(target, input)
    if (!found) continue
    const smaller = await shrink(input, async each => (await broken(target, each)) !== undefined)
    return { input: smaller, ...((await broken(target, smaller)) ?? found) }
  }
  return undefined
}

for (const [name, executions] of order.targets) {
  const target = TARGETS.find(each => each.name === name)
  if (!target) throw new Error(`no target ${name}; there are ${TARGETS.map(each => each.name).join(' ')}`)
  const before = Atomics.load(counts, 0)
  const failure = await work(target, executions)
  const report: Report = { target: name, executions: Atomics.load(counts, 0) - before, ...(failure && { failure }) }
  parentPort?.postMessage(report)
}
