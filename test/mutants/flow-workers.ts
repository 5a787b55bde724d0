// Faults around the transform: worker threads, what one of them takes down with it, and a pipeline that is started again.
import { type Mutant, mutantsOf } from './mutant.ts'

const ORDER = ['core/order', 'core/transformer']
const WORKERS = ['core/transformer', 'core/order']
const SUPERVISOR = ['core/supervisor']

export const workers: readonly Mutant[] = [
  ...mutantsOf('core/flow/transform-stage.ts', ORDER, [
    {
      name: 'workers-out-of-order',
      breaks: 'Chunks leave the workers in the order in which they are ready',
      find: 'slot.transformed = transformed',
      replace: 'slots.splice(slots.indexOf(slot), 1)\n          this.push({ tracked, transformed })',
    },
    {
      name: 'last-chunks-lost',
      breaks: 'The stream ends while workers are still at its last chunks',
      find: 'if (slots.length === 0) done()',
      replace: 'if (slots.length >= 0) done()',
    },
  ]),
  ...mutantsOf('core/flow/worker.ts', ORDER, [
    {
      name: 'memory-used-twice',
      breaks: 'A worker writes into memory that is still read: events are delivered with the bytes of others',
      find: 'lent.set(ids, output.bytes)',
      replace: 'lent.set(ids, output.bytes)\n      buffers.recycle(output.bytes)',
    },
  ]),
  ...mutantsOf('core/flow/worker-pool.ts', WORKERS, [
    {
      name: 'worker-death-loses',
      breaks: 'The chunks of a worker that died are lost',
      find: 'for (const running of thread.running.values()) send(thread, running)',
      replace: '',
    },
    {
      name: 'poison-for-ever',
      breaks: 'A chunk that ends its worker is tried again for ever',
      find: 'if (suspect && --suspect.lives === 0) {',
      replace: 'if (suspect && suspect.lives < 0) {',
    },
    {
      name: 'watchdog-asleep',
      breaks: 'A worker that hangs holds up its pipeline for ever',
      find: '++thread.looks <= LOOKS',
      replace: '++thread.looks > 0',
    },
    {
      name: 'memory-to-successor',
      breaks: 'A new worker writes into memory that is still read: what its predecessor made is delivered wrong',
      find: 'if (thread.worker === worker) thread.returned.push(',
      replace: 'thread.returned.push(',
    },
  ]),
  ...mutantsOf('core/flow/isolate.ts', WORKERS, [
    {
      name: 'innocents-buried',
      breaks: 'A record that is tried alone begins in the one before it, and fails',
      find: '(job.ends[record - 1] as number) + 1',
      replace: '(job.ends[record - 1] as number) - 1',
    },
    {
      name: 'culprit-sent-again',
      breaks: 'An event that ends its worker is in the chunk that is tried after all',
      find: 'return attempt({ ...job, culprits }, 1)',
      replace: 'return attempt(job, 1)',
    },
    {
      name: 'culprits-unlimited',
      breaks: 'A filter that ends its worker with every event gets all of them into the dead letters',
      find: 'if (culprits.length < MOST_CULPRITS) continue',
      replace: 'if (culprits.length > 0) continue',
    },
  ]),
  ...mutantsOf('core/flow/supervisor.ts', SUPERVISOR, [
    {
      name: 'uncaught-swallowed',
      breaks: 'An error that nobody caught leaves its pipeline standing still',
      find: 'pipeline.fail(error)',
      replace: '',
      tests: [
        'faults/plugin-throws > row 30: thrown once: the pipeline is started again after a wait, nothing is lost, no other pipeline notices',
      ],
    },
    {
      name: 'restart-for-ever',
      breaks: 'A pipeline that fails at once is started again for ever',
      find: 'failures.length >= MOST_FAILURES',
      replace: 'failures.length < 0',
    },
    {
      name: 'restart-counts-twice',
      breaks: 'What was in flight when a pipeline failed counts as routed twice',
      find: 'output.routed + old.routed - old.inFlight',
      replace: 'output.routed + old.routed',
    },
  ]),
  ...mutantsOf(
    'core/plugin/buffers.ts',
    ['core/buffers'],
    [
      {
        name: 'given-out-twice',
        breaks: 'A buffer that was given back twice belongs to two chunks at once',
        find: 'if (!taken.delete(buffer)) return',
        replace: 'taken.delete(buffer)',
      },
      {
        name: 'shared-too-soon',
        breaks: 'A buffer that lines share is filled anew while some of them still wait for their output',
        find: 'if (shared.open.size > 0) return',
        replace: 'if (shared.open.size > 1) return',
      },
      {
        name: 'shared-for-ever',
        breaks: 'A buffer that lines shared is never used again',
        find: 'shelves.delete(shared.buffer.buffer)\n  buffers.recycle(shared.buffer)',
        replace: 'shelves.delete(shared.buffer.buffer)',
      },
    ],
  ),
  ...mutantsOf(
    'core/plugin/byte-writer.ts',
    ['core/buffers'],
    [
      {
        name: 'few-lines-hold-all',
        breaks: 'A few lines that wait for an output hold half a megabyte each',
        find: 'buffers.recycle(this.#buffer)\n    return stored',
        replace: 'return stored',
      },
    ],
  ),
]
