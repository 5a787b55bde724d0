// Sends items in batches, and goes on where it was when the same items come again.
import { asError, RetryableError, TooLargeError } from '../../../core/plugin/errors.ts'
import type { Item } from '../../../core/plugin/interfaces.ts'
import type { Batch, KafkaError, OutMessage, Producer } from '../../lib/kafka/client.ts'
import { KafkaError as Failed } from '../../lib/kafka/client.ts'

export interface WritingOptions {
  readonly maxRequestBytes: number
  /** Header that gets the event's id; '' for none. */
  readonly idHeader: string
}

/** What a batch, and a record in it, take beside keys, values and headers, at most. Bytes. */
const BATCH_BYTES = 512
const RECORD_BYTES = 40
const HEADER_BYTES = 10
/** How often a new producer sends a batch at once, whose numbers the broker did not take. */
const MOST_RESETS = 2
/** What no header holds, as with those of the configuration: an id comes from outside. */
const CONTROL = /[\0-\x1f\x7f]/g

interface Placed extends OutMessage {
  readonly index: number
}

export class Writing {
  readonly #options: WritingOptions
  /** What was begun and not finished: these items, what is left of them, and which of them are refused. */
  #items: readonly Item[] = []
  #left: Batch[] = []
  #refused = new Map<number, Error>()

  constructor(options: WritingOptions) {
    this.#options = options
  }

  /** As Output.write. The engine sends the same items again after a throw; of those, nothing is sent that is known to be stored. */
  async write(items: readonly Item[], reject: (index: number, error: Error) => void, producer: Producer): Promise<void> {
    if (!isSame(this.#items, items)) this.#plan(items)
    let resets = 0
    while (this.#left.length > 0) {
      const [batch] = this.#left as [Batch]
      try {
        await producer.send(batch)
        this.#left.shift()
      } catch (thrown) {
        if (!(thrown instanceof Failed)) throw asError(thrown)
        if (thrown.failure === 'too_large') this.#divide(batch, thrown)
        else if (thrown.failure !== 'sequence' || ++resets > MOST_RESETS) throw retryable(thrown)
      }
    }
    for (const [index, error] of this.#refused) reject(index, error)
    this.#items = []
    this.#refused = new Map()
  }

  #plan(items: readonly Item[]): void {
    const { maxRequestBytes, idHeader } = this.#options
    this.#items = items
    this.#refused = new Map()
    this.#left = []
    let messages: Placed[] = []
    let bytes = BATCH_BYTES
    items.forEach((item, index) => {
      const message = messageOf(item, index, idHeader)
      const size = sizeOf(message, item.end - item.start)
      if (messages.length > 0 && bytes + size > maxRequestBytes) {
        this.#left.push({ messages })
        messages = []
        bytes = BATCH_BYTES
      }
      messages.push(message)
      bytes += size
    })
    if (messages.length > 0) this.#left.push({ messages })
  }

  /** The broker takes less than was thought: what it refused goes in halves, and a message that is too long by itself not at all. */
  #divide(batch: Batch, error: KafkaError): void {
    const stored = new Set(error.stored)
    const about = new Set(error.about)
    const rest = batch.messages.filter(message => !stored.has(message) && !about.has(message))
    const large = error.about as readonly Placed[]
    this.#left.shift()
    if (large.length === 1) {
      const [{ index, value, topic }] = large as [Placed]
      const why = `the message has ${value.byteLength} bytes, more than topic ${topic} takes; raise its max.message.bytes and replay it`
      this.#refused.set(index, new TooLargeError(`kafka: ${why}`, { cause: error }))
    } else {
      const middle = large.length >> 1
      this.#left.unshift({ messages: large.slice(0, middle) }, { messages: large.slice(middle) })
    }
    if (rest.length > 0) this.#left.unshift({ messages: rest })
  }
}

function messageOf(item: Item, index: number, idHeader: string): Placed {
  const { to = '', key, headers = {} } = item.address
  return {
    ...{ index, topic: to, key },
    headers: idHeader === '' ? headers : { ...headers, [idHeader]: item.id.replace(CONTROL, encodeURIComponent) },
    // A view, made when it is needed: the item's memory is only good while it is being written.
    get value() {
      return item.bytes
    },
  }
}

function sizeOf({ key, headers }: OutMessage, valueBytes: number): number {
  let bytes = RECORD_BYTES + valueBytes
  if (key !== undefined) bytes += Buffer.byteLength(key)
  for (const name in headers) bytes += HEADER_BYTES + Buffer.byteLength(name) + Buffer.byteLength(headers[name] as string)
  return bytes
}

function isSame(one: readonly Item[], other: readonly Item[]): boolean {
  return one.length === other.length && one.length > 0 && one.every((item, index) => item === other[index])
}

function retryable(error: KafkaError): RetryableError {
  return new RetryableError(error.message, { cause: error, code: error.code })
}
