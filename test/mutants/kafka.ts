// Faults in the kafka output and input: what a broker takes for something else, and offsets that run ahead.
import { type Mutant, mutantsOf } from './mutant.ts'

const PRODUCER = ['plugins/kafka-producer']
const OUTPUT = ['plugins/kafka-output']
const INPUT = ['plugins/kafka-input']

export const kafka: readonly Mutant[] = [
  ...mutantsOf('plugins/lib/kafka/kafkajs/producer.ts', PRODUCER, [
    {
      name: 'kafka-no-new-producer',
      breaks: 'Another batch behind one that failed takes its numbers, and is acknowledged without being stored',
      find: 'before && before !== next && this.#options.idempotent',
      replace: 'before && before === next && this.#options.idempotent',
    },
    {
      name: 'kafka-partition-anew',
      breaks: 'A batch that goes again has other messages for a partition',
      find: 'entry.partition = partition\n',
      replace: '',
    },
    {
      name: 'kafka-stored-again',
      breaks: 'What is stored is sent again for as long as another part of its batch waits',
      find: 'const left = entries.filter(({ stored }) => !stored)',
      replace: 'const left = [...entries]',
    },
    {
      name: 'kafka-sequence-stays',
      breaks: 'A producer whose numbers the broker does not take goes on',
      find: "if (error.failure === 'sequence') this.#broken = error.message",
      replace: '',
    },
    {
      name: 'kafka-deleted-topic-stays',
      breaks: 'A topic that was deleted keeps the producer from all others',
      find: "this.#broken = 'a topic that was there is there no more'",
      replace: '{}',
    },
    {
      name: 'kafka-no-value',
      breaks: 'Messages are sent without their value, as kafkajs copies own properties alone',
      find: '    get value() {',
      replace: "    ['__proto__' as 'value']: Buffer.alloc(0),\n    get lost() {",
    },
  ]),
  ...mutantsOf('plugins/lib/kafka/kafkajs/errors.ts', PRODUCER, [
    {
      name: 'kafka-auth-refused',
      breaks: 'A refusal of rights is not told as one',
      find: "TOPIC_AUTHORIZATION_FAILED: 'authorization',",
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/outputs/kafka/writing.ts', OUTPUT, [
    {
      name: 'kafka-batch-anew',
      breaks: 'After a throw the same items are another batch, and what was stored is sent again',
      find: 'if (!isSame(this.#items, items)) this.#plan(items)',
      replace: 'this.#plan(items)',
    },
    {
      name: 'kafka-limit-ignored',
      breaks: 'Requests grow over their limit',
      find: 'if (messages.length > 0 && bytes + size > maxRequestBytes) {',
      replace: 'if (messages.length > 1_000_000) {',
    },
    {
      name: 'kafka-large-dropped',
      breaks: 'What stood in a batch beside a part that is too large is lost',
      find: 'if (rest.length > 0) this.#left.unshift({ messages: rest })',
      replace: '',
    },
    {
      name: 'kafka-half-dropped',
      breaks: 'Of a batch that is too large one half is lost',
      find: '{ messages: large.slice(middle) })',
      replace: '{ messages: large.slice(middle + 1) })',
    },
    {
      name: 'kafka-refusal-forgotten',
      breaks: 'An event that is too long counts as delivered, where its batch had to wait after it',
      find: 'for (const [index, error] of this.#refused) reject(index, error)',
      replace: 'if (resets === 0 && this.#refused.size > 1) for (const [index, error] of this.#refused) reject(index, error)',
    },
    {
      name: 'kafka-id-newline',
      breaks: 'A newline in an id gets into a header',
      find: 'item.id.replace(CONTROL, encodeURIComponent)',
      replace: 'item.id',
    },
  ]),
  ...mutantsOf(
    'plugins/outputs/kafka/topic-rules.ts',
    ['plugins/contract-outputs'],
    [
      {
        name: 'kafka-any-topic',
        breaks: 'Events choose any topic',
        find: "return values && literalPrefix === ''",
        replace: "return values && literalPrefix === ' '",
      },
      {
        name: 'kafka-header-newline',
        breaks: 'A newline gets from an event into a header',
        find: "value: value => (CONTROL.test(value) ? 'holds a newline or another control character' : undefined),\n  rendered: text => (CONTROL.test(text) ? 'holds a newline or another control character' : undefined),",
        replace: 'value: () => undefined,\n  rendered: () => undefined,',
      },
    ],
  ),
  ...mutantsOf('plugins/inputs/kafka/cutting.ts', INPUT, [
    {
      name: 'kafka-position-ahead',
      breaks: 'A position is behind a message of which not all is in its chunk',
      find: 'piece === pieces.at(-1) ? end : offset',
      replace: 'end',
    },
    {
      name: 'kafka-position-at-neighbour',
      breaks: 'A chunk that is handed over before a broken message says that this one is read',
      find: 'if (gathered.count > 0) yield cut(gathered.chunk(), offset)\n    const meta',
      replace: 'if (gathered.count > 0) yield cut(gathered.chunk(), end)\n    const meta',
    },
    {
      name: 'kafka-tombstones-stay',
      breaks: 'A partition that ends with tombstones is never committed to its end',
      find: 'else if (last?.value === null) yield',
      replace: 'else if (last === undefined) yield',
    },
    {
      name: 'kafka-ids-shifted',
      breaks: 'An id in a header goes to another event',
      find: 'if (own !== undefined) this.#ids.set(this.#ends.length, own)',
      replace: 'if (own !== undefined) this.#ids.set(this.#ends.length + 1, own)',
    },
  ]),
  ...mutantsOf('plugins/inputs/kafka/shares.ts', INPUT, [
    {
      name: 'kafka-foreign-commit',
      breaks: 'Offsets of a partition are committed that belong to an earlier share of it',
      find: 'if (share?.number === position.share) share.settled',
      replace: 'if (share) share.settled',
    },
    {
      name: 'kafka-reads-behind-others',
      breaks: 'What another member has delivered meanwhile is read again',
      find: 'if (known !== undefined && known > share.next) return undefined',
      replace: '',
    },
    {
      name: 'kafka-no-way-back',
      breaks: 'A group that was told to go back is not listened to',
      find: 'if (share.committed !== undefined && (known === undefined || known < share.committed)) return undefined',
      replace: '',
    },
    {
      name: 'kafka-reads-again',
      breaks: 'A partition that stays with its member is read again from the committed offset',
      find: 'if (share.next !== undefined) going.push',
      replace: 'if (share.next === -1n) going.push',
    },
  ]),
]
