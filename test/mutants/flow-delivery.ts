// Faults on the way to the outputs: fan-out, batches, retries, the breaker.
import { type Mutant, mutantsOf } from './mutant.ts'

const FLOW = ['core/delivery', 'core/settling', 'core/pipeline']

export const delivery: readonly Mutant[] = [
  ...mutantsOf('core/flow/fan-out.ts', FLOW, [
    {
      name: 'items-unheld',
      breaks: 'Items are handed to an output without a hold on their chunk',
      find: 'if (open > 0) tracked.ack.hold()',
      replace: 'if (open > 0) {}',
    },
    {
      name: 'first-item-settles',
      breaks: 'A chunk counts as delivered with its first item',
      find: 'if (--open > 0) return',
      replace: 'if (open-- < items.length) return',
    },
    {
      name: 'letters-not-awaited',
      breaks: 'A chunk is settled before the dead letters of its broken records are stored',
      find: 'await this.#options.letters.add(letters)',
      replace: 'void this.#options.letters.add(letters).catch(() => {})',
    },
    {
      name: 'refused-key-kept',
      breaks: 'The key of an event that an output refused for good counts as delivered',
      find: 'for (const { item } of refused) item.slice.fail(item.owner)',
      replace: '',
    },
    {
      name: 'failed-key-kept',
      breaks: 'The key of an event that a filter failed on counts as delivered',
      find: 'tracked.fail(owner)',
      replace: '',
    },
    {
      name: 'waits-for-itself',
      breaks: 'An event that repeats another one of its chunk waits for that chunk, which waits for it',
      find: 'else if (own.has(mark)) hold.release()',
      replace: '',
    },
    {
      name: 'duplicates-delivered',
      breaks: 'What a gate held back is delivered all the same',
      find: 'if (owner < 0 || admitted[owner]) {',
      replace: 'if (open >= 0) {',
    },
    {
      name: 'output-bytes-uncounted',
      breaks: 'What the outputs hold does not count against the cap',
      find: 'inFlight.add(written)',
      replace: '',
    },
    {
      name: 'slow-output-not-waited-for',
      breaks: 'Nobody waits for an output that has no room',
      find: 'if (items.length > 0 && !stream.stream.write(items)) full.push(stream)',
      replace: 'if (items.length > 0 && stream.inFlight < 10) stream.stream.write(items)',
    },
  ]),
  ...mutantsOf('core/flow/output-stream.ts', FLOW, [
    {
      name: 'ack-before-delivery',
      breaks: 'A batch counts as delivered when its write begins',
      find: 'await output.write(items,',
      replace: 'void output.write(items,',
    },
    {
      name: 'write-failure-swallowed',
      breaks: 'A write that throws counts as delivered',
      find: 'if (error instanceof TooLargeError) {',
      replace:
        'if (error instanceof RetryableError) {\n          await this.#answered(items, refused)\n          return\n        }\n        if (error instanceof TooLargeError) {',
    },
    {
      name: 'retry-gives-up',
      breaks: 'After four tries a batch counts as delivered',
      find: 'await clock.sleep(this.#wait(error), signal)',
      replace:
        'if (this.#backoff > 3) {\n            for (const item of items) this.#settle(item, true)\n            return\n          }\n          await clock.sleep(this.#wait(error), signal)',
    },
    {
      name: 'void-rejects-count',
      breaks: 'Rejects of a call that threw afterwards make dead letters',
      find: 'for (;;) {\n      const refused = new Map<number, Error>()',
      replace: 'const refused = new Map<number, Error>()\n    for (;;) {',
    },
    {
      name: 'rejects-ignored',
      breaks: 'A refused item counts as delivered',
      find: 'refused.set(index, asError(error))',
      replace: 'void asError(error)',
    },
    {
      name: 'second-half-lost',
      breaks: 'Of a batch that is too large only the first half is sent',
      find: 'await this.#send(items.slice(middle))',
      replace: 'for (const item of items.slice(middle)) this.#settle(item, true)',
    },
    {
      name: 'bury-not-awaited',
      breaks: 'A refused item is settled before its dead letter is stored',
      find: 'await this.#options.deadLetter(refused)',
      replace: 'void this.#options.deadLetter(refused).catch(() => {})',
    },
    {
      name: 'bury-failure-swallowed',
      breaks: 'When the dead letters of an output cannot be written, the pipeline goes on as if they were',
      find: 'this.#options.fail(asError(error))\n      return',
      replace: 'void error',
    },
    {
      name: 'dead-destination-counts',
      breaks: 'Refusals by a destination that takes nothing count as tries: an outage fills the dead letters',
      find: 'item.alive ||= delivered > 0',
      replace: 'item.alive = true',
    },
    {
      name: 'one-try-too-many',
      breaks: 'An item is tried once more than max_tries says',
      find: 'item.tries >= this.#options.maxTries',
      replace: 'item.tries > this.#options.maxTries',
    },
    {
      name: 'breaker-ignored',
      breaks: 'A destination that refuses everything gets all events into the dead letters',
      find: 'if (this.#breaker.judge(delivered, letters.length)) {',
      replace: 'if (this.#breaker.judge(delivered, letters.length) && !items.length) {',
    },
    {
      name: 'breaker-drops',
      breaks: 'What was refused while the breaker opened is never tried again',
      find: 'this.#requeue([...letters, ...again].map(({ item }) => item))',
      replace: 'this.#requeue(again.map(({ item }) => item))',
    },
    {
      name: 'rejected-not-retried',
      breaks: 'Items that were refused for now are forgotten when others of their batch were delivered',
      find: 'this.#requeue(items)\n      this.flush()',
      replace: 'this.flush()',
    },
    {
      name: 'last-flush-lost',
      breaks: 'The end of the pipeline does not wait for the batch that is under way',
      find: 'if (this.#outstanding === 0 ||',
      replace: 'if (this.#pending.length === 0 ||',
    },
    {
      name: 'no-timer',
      breaks: 'A batch that does not fill up stays where it is until the end',
      find: 'this.#later(batch.max_ms, () => {',
      replace: 'this.#later(2 ** 31 - 1, () => {',
    },
    {
      name: 'batch-events-ignored',
      breaks: 'Batches are longer than max_events',
      find: 'count >= max_events ||',
      replace: '',
    },
    {
      name: 'batch-bytes-ignored',
      breaks: 'Batches are larger than max_bytes',
      find: 'bytes + item.size > max_bytes',
      replace: 'bytes < 0',
    },
    {
      name: 'retry-after-ignored',
      breaks: 'A destination that asks for a pause is asked again at once',
      find: 'Math.max(wait, asksFor(error))',
      replace: 'wait',
    },
    {
      name: 'backoff-flat',
      breaks: 'The waits between tries do not grow',
      find: '2 ** this.#backoff++',
      replace: '2 ** this.#backoff',
    },
    {
      name: 'slots-ignored',
      breaks: 'An output with one write at a time gets several, and its order is gone',
      find: 'this.#busy < this.#slots &&',
      replace: 'this.#busy < 8 &&',
    },
    {
      name: 'delivered-twice-counted',
      breaks: 'An item that became a dead letter counts as delivered',
      find: 'for (const { item } of refused) this.#settle(item, false)',
      replace: 'for (const { item } of refused) this.#settle(item, true)',
    },
  ]),
  ...mutantsOf('core/flow/breaker.ts', FLOW, [
    {
      name: 'breaker-never-opens',
      breaks: 'The breaker stays closed however much is refused',
      find: 'bad * 2 > all',
      replace: 'bad > all',
    },
    {
      name: 'breaker-never-closes',
      breaks: 'The breaker stays open when the destination takes events again',
      find: 'this.#open = refused > delivered',
      replace: 'this.#open = refused >= 0',
    },
    {
      name: 'breaker-too-early',
      breaks: 'A few refused events among many stop an output',
      find: 'bad >= LEAST_REFUSED && bad * 2 > all',
      replace: 'bad > 0',
    },
  ]),
]
