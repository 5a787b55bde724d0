// Runs that have found something, each cut down to what it takes: they are tried first, every time.
import type { Command } from './commands.ts'
import type { RecordSpec } from './records.ts'
import type { Shape } from './system.ts'

const plain: RecordSpec = { kind: 'plain', to: 3, key: -1, poison: 'none' }
const usual: Shape = {
  inputs: 1,
  cap: 100_000,
  concurrency: 1,
  maxEvents: 3,
  maxBytes: 100_000,
  maxMs: 5,
  maxTries: 1,
  commitInterval: 0,
  stuck: false,
}

function arrive(...records: readonly RecordSpec[]): Command {
  return { do: 'arrive', input: 0, partition: 0, records, last: false, positioned: true, hurry: 0 }
}

function pass(ms: number): Command {
  return { do: 'pass', ms, hurry: 0 }
}

export const FOUND: [Shape, Command[]][] = [
  // The parts of a split became dead letters, and the key of the whole was kept as delivered.
  [usual, [arrive({ ...plain, kind: 'late split', key: 0, poison: 'permanent' }), pass(10)]],
  // A write that ended after its pipeline moved the position of the next one back.
  [
    usual,
    [
      arrive(plain),
      { do: 'output', output: 'b', mode: 'hang', hurry: 0 },
      { do: 'letters', mode: 'full', hurry: 0 },
      pass(10),
      arrive({ ...plain, kind: 'early fail' }),
      pass(6_000),
      { do: 'letters', mode: 'ok', hurry: 0 },
      { do: 'output', output: 'b', mode: 'deliver', hurry: 0 },
      pass(6_000),
      { do: 'answer', which: 0, answer: 'deliver', hurry: 0 },
      pass(50),
    ],
  ],
  // A commit that failed was tried again after its pipeline had ended, beside the next one's.
  [
    usual,
    [
      { do: 'store', mode: 'hang', hurry: 0 },
      arrive(),
      arrive(),
      { do: 'break', input: 0, hurry: 0 },
      { do: 'reply', which: 0, answer: 'fails', hurry: 0 },
      { do: 'store', mode: 'ok', hurry: 0 },
      pass(3_000),
      pass(6_000),
    ],
  ],
  // Two writes that were refused as a whole each began a wait, and each wait's end began two writes: ever more of them.
  [
    { ...usual, concurrency: 2, maxBytes: 1 },
    [{ do: 'output', output: 'a', mode: 'all busy', hurry: 0 }, arrive(plain, plain, plain, plain), pass(6_000)],
  ],
  // The second half of a batch that was too large was sent after the end of the grace period.
  [
    usual,
    [
      { do: 'output', output: 'a', mode: 'hang', hurry: 0 },
      arrive(plain, plain),
      pass(10),
      { do: 'answer', which: 0, answer: 'one at a time', hurry: 0 },
      { do: 'stop', hurry: 0 },
      pass(600),
    ],
  ],
  // With a disk that does not answer, a stop waited for it for ever.
  [
    usual,
    [
      { do: 'output', output: 'a', mode: 'hang', hurry: 0 },
      arrive(plain),
      { do: 'stop', hurry: 0 },
      { do: 'store', mode: 'hang', hurry: 0 },
      { do: 'answer', which: 0, answer: 'deliver', hurry: 0 },
      pass(31_000),
    ],
  ],
  // A failure while marked dead letters were replayed at the start, beside a source that is stuck: it never ended.
  [
    { ...usual, stuck: true },
    [
      arrive({ ...plain, kind: 'late fail' }, { ...plain, kind: 'garbage' }),
      arrive({ ...plain, kind: 'early fail' }),
      { do: 'replay', hurry: 0 },
      { do: 'crash', happened: false, hurry: 0 },
      { do: 'letters', mode: 'full', hurry: 0 },
      pass(6_000),
    ],
  ],
  // Of the waits that a destination asked for its items, the first counted, not the longest.
  [usual, [{ do: 'output', output: 'a', mode: 'all busy', hurry: 0 }, arrive(plain, plain), pass(600)]],
  // Single items that were too large became dead letters by the hundred, past the breaker.
  [
    usual,
    [{ do: 'output', output: 'a', mode: 'nothing fits', hurry: 0 }, arrive(...Array<RecordSpec>(60).fill(plain)), pass(600)],
  ],
  // What came to an output after the cap was reached waited for a full batch, while the inputs waited for it.
  [
    { ...usual, inputs: 2, cap: 1, maxMs: 3_600_000 },
    [arrive(plain), { do: 'crash', happened: false, hurry: 0 }, { ...arrive(plain), input: 1 } as Command, pass(600)],
  ],
]
