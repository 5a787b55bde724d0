// The delivery core against a reference model: random commands, a virtual clock, crashes, and what must hold after each step.
import t from 'tap'
import { fc, full, rounds, seed } from '../kit/rounds.ts'
import { command, run, shape } from './model/commands.ts'
import { FOUND } from './model/found.ts'

t.setTimeout(1_800_000)
/** A failure is told before the time of the file is over, cut down as far as it was by then. Milliseconds. */
const MOST_MS = full ? 1_500_000 : 120_000

/** What must have happened in the course of the runs: else the test has not tested it. */
const MUST_HAPPEN = [
  'a batch was too large',
  'a breaker opened',
  'a chunk waited for room',
  'a dead letter was replayed',
  'a repeat in its own chunk',
  'a repeat was let go',
  'a write threw: aborted',
  'a write threw: later',
  'a write threw: throw',
  'a write threw: throw after refusing',
  'an event was delivered again',
  'an item was given up after its last try',
  'an item was too large',
  'crash with unsettled chunks',
  'ended',
  'failed',
  'stopped',
  'stopped: nobody reads',
  'stopped: the grace period is over',
  'stored, and the process died before it knew',
  'the letters failed: broken',
  'the letters failed: full',
  'the store failed: broken',
  'the store failed: full',
]

t.test(
  'whatever happens: nothing is lost, nothing is stored before it is settled, nothing is repeated without a reason',
  async t => {
    const { random } = Math
    const seen = new Map<string, number>()
    t.comment(`seed ${seed}`)
    try {
      await fc.assert(
        fc.asyncProperty(shape, fc.array(command, { maxLength: 40, size: 'max' }), async (shape, commands) => {
          // The jitter of retries too is the same each time.
          Math.random = () => 0.5
          const world = await run(shape, commands)
          for (const [what, count] of world.seen) seen.set(what, (seen.get(what) ?? 0) + count)
        }),
        {
          numRuns: rounds(3_000),
          examples: FOUND,
          endOnFailure: false,
          interruptAfterTimeLimit: MOST_MS,
          markInterruptAsFailure: true,
        },
      )
    } finally {
      Math.random = random
    }
    const missing = MUST_HAPPEN.filter(what => !seen.has(what))
    t.same(
      missing,
      [],
      `all of it happened: ${[...seen]
        .map(([what, count]) => `${count} × ${what}`)
        .sort()
        .join(', ')}`,
    )
  },
)
