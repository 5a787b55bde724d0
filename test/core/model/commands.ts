// What happens to the world, as data: short lists of small commands, so that a failing run shrinks to one that can be read.
import { fc } from '../../kit/rounds.ts'
import { ANSWERS, type Answer, OUTPUT_MODES, type OutputMode, STORE_MODES, type StoreMode } from './faults.ts'
import { KINDS, OUTPUTS, type RecordSpec } from './records.ts'
import type { Shape } from './system.ts'
import { World } from './world.ts'

export type Command = (
  | {
      readonly do: 'arrive'
      readonly input: number
      readonly partition: number
      readonly records: readonly RecordSpec[]
      readonly last: boolean
      readonly positioned: boolean
    }
  | { readonly do: 'output'; readonly output: (typeof OUTPUTS)[number]; readonly mode: OutputMode }
  | { readonly do: 'answer'; readonly which: number; readonly answer: Answer }
  | { readonly do: 'store'; readonly mode: StoreMode }
  | { readonly do: 'letters'; readonly mode: StoreMode }
  | { readonly do: 'reply'; readonly which: number; readonly answer: 'ok' | 'fails' }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'crash'; readonly happened: boolean }
  | { readonly do: 'stop' }
  | { readonly do: 'replay' }
  | { readonly do: 'break'; readonly input: number }
) & {
  /** 0: the next command waits until all is quiet; else only so many steps of the loop's micro-work are done before it. */
  readonly hurry: number
}

const plain: RecordSpec = { kind: 'plain', to: 3, key: -1, poison: 'none' }

const record: fc.Arbitrary<RecordSpec> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(plain) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(...KINDS),
      to: fc.constantFrom(3, 1, 2, 0),
      key: fc.constantFrom(-1, 0, 1, 2),
      poison: fc.constantFrom('none', 'none', 'permanent', 'too large', 'busy'),
    }),
  },
)
const records = fc.oneof(
  { weight: 12, arbitrary: fc.array(record, { minLength: 0, maxLength: 5 }) },
  // Enough to open a breaker.
  { weight: 1, arbitrary: fc.constantFrom(30, 60).map(count => Array.from({ length: count }, () => plain)) },
)

const hurry = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 25 }) })
const which = fc.integer({ min: 0, max: 3 })
const input = fc.integer({ min: 0, max: 2 })
const rarely = fc.integer({ min: 0, max: 7 }).map(n => n === 7)

function doing<T>(weight: number, command: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.WeightedArbitrary<Command> {
  return { weight, arbitrary: fc.record({ ...command, hurry }) as unknown as fc.Arbitrary<Command> }
}

export const command: fc.Arbitrary<Command> = fc.oneof(
  doing(12, {
    do: fc.constant('arrive'),
    input,
    partition: fc.integer({ min: 0, max: 1 }),
    records,
    last: rarely,
    positioned: rarely.map(no => !no),
  }),
  doing(6, {
    do: fc.constant('output'),
    output: fc.constantFrom(...OUTPUTS),
    mode: fc.constantFrom('hang', 'deliver', ...OUTPUT_MODES),
  }),
  doing(7, { do: fc.constant('answer'), which, answer: fc.oneof(fc.constant('deliver'), fc.constantFrom(...ANSWERS)) }),
  doing(2, { do: fc.constant('store'), mode: fc.constantFrom('ok', 'slow', 'hang', ...STORE_MODES) }),
  doing(2, { do: fc.constant('letters'), mode: fc.constantFrom('ok', 'ok', 'slow', 'hang', ...STORE_MODES) }),
  doing(4, { do: fc.constant('reply'), which, answer: fc.constantFrom('ok', 'ok', 'ok', 'fails') }),
  doing(6, { do: fc.constant('pass'), ms: fc.constantFrom(1, 3, 10, 50, 600, 6_000, 31_000) }),
  doing(3, { do: fc.constant('crash'), happened: fc.boolean() }),
  doing(2, { do: fc.constant('stop') }),
  doing(2, { do: fc.constant('replay') }),
  doing(1, { do: fc.constant('break'), input }),
)

export const shape: fc.Arbitrary<Shape> = fc.record({
  inputs: fc.integer({ min: 1, max: 3 }),
  cap: fc.constantFrom(100_000, 1_500, 400, 1),
  concurrency: fc.integer({ min: 1, max: 3 }),
  maxEvents: fc.constantFrom(3, 1, 2, 40),
  maxBytes: fc.constantFrom(100_000, 300, 1),
  maxMs: fc.constantFrom(5, 3_600_000),
  maxTries: fc.integer({ min: 1, max: 3 }),
  commitInterval: fc.constantFrom(0, 1, 100),
  stuck: fc.boolean(),
})

/** Does the commands one after the other, then heals all faults and runs to the end. Throws with what does not hold. */
export async function run(shape: Shape, commands: readonly Command[]): Promise<World> {
  const world = new World(shape)
  try {
    for (const command of commands) {
      await obey(world, command)
      if (command.hurry === 0) await world.settle()
      else for (let turn = 0; turn < command.hurry; turn++) await new Promise<void>(resolve => process.nextTick(resolve))
    }
    await world.finish()
    return world
  } catch (error) {
    await world.crash(false)
    throw error
  }
}

async function obey(world: World, command: Command): Promise<void> {
  const { faults } = world
  switch (command.do) {
    case 'arrive': {
      const { input, partition, last, positioned } = command
      // A chunk of pieces alone never reaches the codec, where the model sees it.
      const onlyPieces = command.records.every(({ kind }) => kind === 'piece')
      const records = onlyPieces ? command.records.map(spec => ({ ...spec, kind: 'garbage' as const })) : command.records
      world.arrive(input, partition, records, last, positioned)
      return
    }
    case 'output':
      faults.outputs[command.output] = command.mode
      return
    case 'answer':
      take(faults.writes, command.which)?.answer(command.answer)
      return
    case 'store':
      faults.store = command.mode
      return
    case 'letters':
      faults.letters = command.mode
      return
    case 'reply':
      take(faults.requests, command.which)?.answer(command.answer)
      return
    case 'pass':
      return world.pass(command.ms)
    case 'crash':
      return world.crash(command.happened)
    case 'stop':
      world.stop()
      return
    case 'replay':
      return world.replay()
    case 'break':
      world.breakInput(command.input)
      return
  }
}

/** Takes one out of the list, if there is any. */
function take<T>(list: T[], which: number): T | undefined {
  return list.splice(which % Math.max(1, list.length), 1)[0]
}
