// Faults in dedupe: keys that are kept too early, not at all, or for ever.
import { type Mutant, mutantsOf } from './mutant.ts'

const DEDUPE = ['plugins/dedupe']

export const dedupe: readonly Mutant[] = [
  ...mutantsOf('plugins/filters/dedupe/index.ts', DEDUPE, [
    {
      name: 'key-kept-before-ack',
      breaks: 'A repeat of an event that is still on its way is acknowledged at once: if that one fails, both are lost',
      find: "if (state === 'kept') hold.release()",
      replace: "if (state !== 'new') hold.release()",
    },
    {
      name: 'failed-key-reserved',
      breaks: 'The key of an event that became a dead letter is never free again',
      find: 'if (!delivered) this.#memory.free(key)',
      replace: '',
    },
    {
      name: 'waiting-repeats-forgotten',
      breaks: 'Repeats that wait for an event on its way are never released',
      find: 'for (const hold of waiting) hold.release()',
      replace: '',
    },
    {
      name: 'all-repeats-pass',
      breaks: 'Repeats are let through',
      find: "return state === 'new'",
      replace: "return state !== 'kept'",
    },
    {
      name: 'empty-field-is-a-key',
      breaks: 'Events that lack a field of the key count as repeats of each other',
      find: "value === undefined || value === null || value === '' || ",
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/filters/dedupe/memory.ts', DEDUPE, [
    {
      name: 'keys-not-stored',
      breaks: 'Keys are forgotten with the process',
      find: 'changes.push([row, bytes])',
      replace: '',
    },
    {
      name: 'merged-keys-lost',
      breaks: 'When small rows are put together, the keys of the older ones are lost',
      find: 'bytes = Buffer.concat([top.bytes, bytes])',
      replace: 'bytes = Buffer.from(bytes)',
    },
    {
      name: 'expires-early',
      breaks: 'Keys are forgotten before their time',
      find: '1 + 1 / GENERATIONS',
      replace: '1 / GENERATIONS',
    },
    {
      name: 'never-expires',
      breaks: 'Keys are never forgotten: an event that may come again is held back for ever',
      find: '1 + 1 / GENERATIONS',
      replace: '1e9',
    },
    {
      name: 'forgotten-rows-stay',
      breaks: 'Rows of forgotten keys stay in the store for ever',
      find: 'this.#obsolete.push(...rows, ...small.map(({ row }) => row))',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/filters/dedupe/key-set.ts', DEDUPE, [
    {
      name: 'chain-broken',
      breaks: 'A key that is removed hides others',
      find: 'shard.words[at + 4] = REMOVED',
      replace: 'shard.words[at + 4] = 0',
    },
    {
      name: 'rebuild-loses',
      breaks: 'Keys are lost when their table grows',
      find: 'if (at === end) at = 0\n      }\n      for (let i = 0',
      replace: 'if (at === end) break\n      }\n      for (let i = 0',
    },
  ]),
]
