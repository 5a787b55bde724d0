// What can go wrong around the pipeline: outputs that refuse, throw or hang, and a store that is slow, full, broken or silent.
import { PermanentError, RetryableError, TooLargeError } from '../../../core/plugin/errors.ts'
import type { Item, Output } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import type { Store } from '../../../core/state/types.ts'
import type { VirtualClock } from '../../kit/virtual-clock.ts'
import type { Refusal, Verdict } from './outlet.ts'
import type { RecordSpec } from './records.ts'

/** How an output answers a batch. `deliver` respects what its records are poisoned with. */
export const ANSWERS = [
  'deliver',
  'throw',
  'throw after refusing',
  'later',
  'some busy',
  'half permanent',
  'all busy',
  'all permanent',
  'one at a time',
  'nothing fits',
  'broken pipe',
] as const
export type Answer = (typeof ANSWERS)[number]
export const OUTPUT_MODES = [...ANSWERS, 'slow', 'hang'] as const
export type OutputMode = (typeof OUTPUT_MODES)[number]

/** `full` passes by itself, `broken` does not; `hang` waits for a word. */
export const STORE_MODES = ['ok', 'slow', 'hang', 'full', 'broken'] as const
export type StoreMode = (typeof STORE_MODES)[number]

const SLOW_WRITE_MS = 20
const SLOW_STORE_MS = 3
/** What an output asks for that does not want to be asked again at once. */
const LATER_MS = 200
const ITEM_LATER_MS = 30

/** The operating system's process: after its death nobody hears of what was under way. */
export interface Process {
  alive: boolean
  readonly clock: VirtualClock
}

/** Something that waits for a word of the test. */
export interface Held<T> {
  answer(answer: T): void
}
/** A request to the store: what it does may have happened even if its process dies before the answer. */
export interface HeldRequest extends Held<'ok' | 'fails'> {
  happen(): Promise<unknown>
}

export interface Faults {
  /** No poison works any more. */
  healed: boolean
  readonly outputs: Record<string, OutputMode>
  readonly writes: Held<Answer>[]
  store: StoreMode
  letters: StoreMode
  readonly requests: HeldRequest[]
  /** Commits under way: whoever reads the store is served after them, as its thread does one thing after the other. */
  readonly commits: Set<Promise<unknown>>
}

export function noFaults(): Faults {
  return { healed: false, outputs: {}, writes: [], store: 'ok', letters: 'ok', requests: [], commits: new Set() }
}

export function forever(): Promise<never> {
  return new Promise(() => {})
}

/** How an output's `write` went. */
export interface Witness {
  offered(items: readonly Item[], aborted: boolean): void
  threw(items: readonly Item[], how: Answer | 'aborted', after: number): void
  tooLarge(items: readonly Item[]): void
  answered(items: readonly Item[], refused: ReadonlyMap<number, Refusal>): void
}

export function faultyWrite(id: string, faults: Faults, process: Process, witness: Witness): Output['write'] {
  const hold = async (items: readonly Item[], signal: AbortSignal): Promise<Answer> => {
    const word = Promise.withResolvers<Answer>()
    const held = { answer: word.resolve }
    faults.writes.push(held)
    const aborted = () => {
      // Output a obeys, output b is stuck in a call that knows of no signal.
      if (id !== 'a') return
      faults.writes.splice(faults.writes.indexOf(held), 1)
      if (process.alive) witness.threw(items, 'aborted', 0)
      word.reject(new DOMException('aborted', 'AbortError'))
    }
    signal.addEventListener('abort', aborted, { once: true })
    try {
      return await word.promise
    } finally {
      signal.removeEventListener('abort', aborted)
    }
  }

  return async (items, reject, signal) => {
    if (!process.alive) return forever()
    witness.offered(items, signal.aborted)
    const poisons = items.map(({ bytes }) => poisonOf(bytes))
    let mode = faults.outputs[id] ?? 'deliver'
    if (mode === 'hang') mode = await hold(items, signal)
    if (mode === 'slow') await process.clock.sleep(SLOW_WRITE_MS)
    if (!process.alive) return forever()
    if (mode === 'nothing fits' || (mode === 'one at a time' && items.length > 1)) {
      witness.tooLarge(items)
      throw new TooLargeError('413')
    }
    if (mode === 'throw' || mode === 'throw after refusing' || mode === 'later' || mode === 'broken pipe') {
      if (mode === 'throw after refusing') reject(0, new PermanentError('void, because the call throws'))
      witness.threw(items, mode, mode === 'later' ? LATER_MS : 0)
      if (mode === 'broken pipe') throw Object.assign(new Error('nobody reads'), { code: 'EPIPE' })
      throw mode === 'later' ? new RetryableError('429', { after: LATER_MS }) : new Error('down')
    }
    const refused = new Map<number, Refusal>()
    items.forEach((_, index) => {
      const verdict = verdictOf(mode, index) ?? (faults.healed ? undefined : poisons[index])
      // Some say when, some do not.
      if (verdict) refused.set(index, { verdict, after: verdict === 'busy' && index % 2 === 1 ? ITEM_LATER_MS : 0 })
    })
    for (const [index, refusal] of refused) reject(index, errorOf(refusal))
    witness.answered(items, refused)
  }
}

function verdictOf(mode: OutputMode, index: number): Verdict | undefined {
  if (mode === 'all permanent' || (mode === 'half permanent' && index % 2 === 0)) return 'permanent'
  return mode === 'all busy' || (mode === 'some busy' && index % 2 === 1) ? 'busy' : undefined
}

function poisonOf(bytes: Uint8Array): Verdict | undefined {
  try {
    const { poison } = JSON.parse(Buffer.from(bytes).toString('utf8')) as JsonObject & Pick<RecordSpec, 'poison'>
    return poison === 'none' ? undefined : poison
  } catch {
    return undefined // the witness has seen that these bytes are wrong
  }
}

function errorOf({ verdict, after }: Refusal): Error {
  if (verdict === 'permanent') return new PermanentError('mapping conflict')
  if (verdict === 'too large') return new TooLargeError('too large by itself')
  return after ? new RetryableError('busy', { after }) : new Error('of an unknown kind')
}

/** What happened in the store. Nothing is called for a process that is dead, unless its request happened after all. */
export interface StoreWitness {
  committed(changes: Parameters<Store['commit']>[0]): void
  buried(letters: Parameters<Store['letters']['add']>[0]): void
  removed(): void
  failed(what: 'store' | 'letters', mode: 'full' | 'broken'): void
  /** How many requests are under way. */
  open(change: 1 | -1): void
}

export function faultyStore(base: Store, faults: Faults, process: Process, witness: StoreWitness): Store {
  const ask = async <T>(what: 'store' | 'letters', work: () => Promise<T>): Promise<T> => {
    if (!process.alive) return forever()
    let mode = faults[what]
    witness.open(1)
    if (mode === 'slow') await process.clock.sleep(SLOW_STORE_MS)
    if (mode === 'hang') {
      const word = Promise.withResolvers<'ok' | 'fails'>()
      faults.requests.push({ answer: word.resolve, happen: work })
      mode = (await word.promise) === 'ok' ? 'ok' : 'full'
    }
    if (!process.alive) return forever()
    witness.open(-1)
    if (mode === 'full' || mode === 'broken') {
      witness.failed(what, mode)
      throw Object.assign(new Error(`the disk is ${mode}`), { code: mode === 'full' ? 'ENOSPC' : 'EBADF' })
    }
    return work()
  }
  const afterCommits = async <T>(read: () => Promise<T>): Promise<T> => {
    await Promise.allSettled(faults.commits)
    return process.alive ? read() : forever()
  }
  const { letters } = base
  return {
    ...base,
    positions: (pipeline, input) => afterCommits(() => base.positions(pipeline, input)),
    list: (scope, prefix, page) => afterCommits(() => base.list(scope, prefix, page)),
    async commit(changes) {
      const committing = ask('store', () => {
        const done = base.commit(changes)
        witness.committed(changes)
        return done
      })
      faults.commits.add(committing)
      try {
        await committing
      } finally {
        faults.commits.delete(committing)
      }
    },
    letters: {
      ...letters,
      add: added =>
        ask('letters', () => {
          const done = letters.add(added)
          witness.buried(added)
          return done
        }),
      // Whoever decodes a replayed record can tell it from the source's own.
      list: async filter =>
        (await letters.list(filter)).map(letter => ({
          ...letter,
          meta: { ...letter.meta, replay: { id: letter.id, only: letter.stage === 'output' ? letter.step : null } },
        })),
      remove: filter =>
        ask('letters', () => {
          const done = letters.remove(filter)
          witness.removed()
          return done
        }),
    },
  }
}
