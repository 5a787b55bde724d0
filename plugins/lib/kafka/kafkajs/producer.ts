// A producer of kafkajs that never takes one batch for the repeat of another.
import type kafkajs from 'kafkajs'
import type { Batch, KafkaError, OutMessage, Producer, ProducerOptions } from '../client.ts'
import { KafkaError as Failed } from '../client.ts'
import type { KafkajsParts } from './client.ts'
import { compressionType } from './codecs.ts'
import { kafkaError } from './errors.ts'

/** A message as kafkajs gets it. Its partition is chosen once: another one at the next try would be another batch. */
interface Entry {
  readonly message: OutMessage
  readonly key: string | null
  readonly headers: Record<string, string>
  readonly value: Buffer
  partition: number | undefined
  stored: boolean
}

/** kafkajs copies the object's own properties: a class with getters would send messages without a value. */
function entryOf(message: OutMessage): Entry {
  return {
    ...{ message, key: message.key ?? null, headers: message.headers, partition: undefined, stored: false },
    get value() {
      const { value } = message
      return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.length)
    },
  }
}

/**
 * An idempotent producer numbers what it sends to a partition, and goes back to the old number when a send fails. If the broker had
 * stored that batch, it takes the next one of as many messages for its repeat: acknowledged, and not stored. So behind a failed batch
 * comes the same batch, message for message and partition by partition, or another producer.
 */
export class KafkajsProducer implements Producer {
  readonly #parts: KafkajsParts
  readonly #options: ProducerOptions
  readonly #entries = new WeakMap<Batch, readonly Entry[]>()
  /** The batch whose last send failed. */
  #unsure: Batch | undefined
  /** Why this producer must not go on, whatever comes next. */
  #broken: string | undefined
  #producer: kafkajs.Producer | undefined
  #closed = false
  /** Topics to which something was sent. */
  readonly #known = new Set<string>()
  /** For messages without a key: a partition for each topic and batch, in turns. */
  readonly #spread = new Map<string, number>()
  #turn = 0

  constructor(parts: KafkajsParts, options: ProducerOptions) {
    this.#parts = parts
    this.#options = options
  }

  async send(batch: Batch): Promise<void> {
    await this.#renew(batch)
    let entries = this.#entries.get(batch)
    const first = entries === undefined
    if (!entries) {
      entries = batch.messages.map(entryOf)
      this.#entries.set(batch, entries)
      this.#spread.clear()
      this.#turn++
    }
    this.#unsure = batch
    const left = entries.filter(({ stored }) => !stored)
    if (first) {
      try {
        await this.#sendAll(left)
        this.#unsure = undefined
        return
      } catch (thrown) {
        const error = this.#heard(thrown, left)
        // Which of its partitions it was, if it may have been one of them, shows when each is sent by itself.
        const single = groupsOf(left).length === 1
        if (single && error.failure === 'too_large') this.#unsure = undefined
        if (single || !['too_large', 'unknown_topic', 'authorization', 'refused'].includes(error.failure))
          throw this.#failed(batch, error, left)
      }
    }
    await this.#sendApart(batch, groupsOf(left))
  }

  async close(): Promise<void> {
    this.#closed = true
    const producer = this.#producer
    this.#producer = undefined
    await producer?.disconnect().catch(() => {})
  }

  /** Each partition's part of the batch by itself; what was stored is not sent again, whatever becomes of the others. */
  async #sendApart(batch: Batch, groups: readonly (readonly Entry[])[]): Promise<void> {
    let failed: { readonly error: KafkaError; readonly group: readonly Entry[] } | undefined
    let unsure = false
    for (const group of groups) {
      try {
        await this.#sendAll(group)
      } catch (thrown) {
        const error = this.#heard(thrown, group)
        failed ??= { error, group }
        unsure ||= error.failure !== 'too_large'
        if (['unreachable', 'authentication', 'sequence'].includes(error.failure)) break
      }
    }
    if (!failed) this.#unsure = undefined
    else {
      // A part that the broker refused is not stored, and has taken no number.
      if (!unsure) this.#unsure = undefined
      throw this.#failed(batch, failed.error, failed.group)
    }
  }

  async #sendAll(entries: readonly Entry[]): Promise<void> {
    const producer = await this.#connected()
    const topics = new Map<string, Entry[]>()
    for (const entry of entries) {
      const known = topics.get(entry.message.topic)
      if (known) known.push(entry)
      else topics.set(entry.message.topic, [entry])
    }
    await producer.sendBatch({
      acks: -1,
      compression: compressionType(this.#parts.library.CompressionTypes, this.#options.compression),
      topicMessages: [...topics].map(([topic, messages]) => ({ topic, messages: messages as unknown as kafkajs.Message[] })),
    })
    for (const entry of entries) entry.stored = true
    for (const topic of topics.keys()) this.#known.add(topic)
  }

  async #connected(): Promise<kafkajs.Producer> {
    if (this.#closed) throw new Failed('unreachable', 'kafka: the producer is closed')
    if (this.#producer) return this.#producer
    const { kafka, library, metadataMaxAgeMs } = this.#parts
    const { idempotent, createTopics } = this.#options
    const byKey = library.Partitioners.DefaultPartitioner()
    const producer = kafka.producer({
      idempotent,
      metadataMaxAge: metadataMaxAgeMs,
      allowAutoTopicCreation: createTopics,
      // One at a time: two on their way would both take the number that a failed one gives back.
      maxInFlightRequests: 1,
      createPartitioner: () => args => this.#partition(args, byKey),
    })
    await producer.connect()
    if (this.#closed) await producer.disconnect()
    this.#producer = producer
    return producer
  }

  #partition(args: kafkajs.PartitionerArgs, byKey: ReturnType<kafkajs.DefaultPartitioner>): number {
    const { topic, partitionMetadata } = args
    const entry = args.message as unknown as Entry
    if (entry.partition !== undefined) return entry.partition
    let partition: number | undefined
    if (entry.message.key !== undefined) partition = byKey(args)
    else {
      // Many messages for one partition make better batches than a few for each.
      partition = this.#spread.get(topic)
      if (partition === undefined) {
        const led = partitionMetadata.filter(({ leader }) => leader >= 0)
        const from = led.length > 0 ? led : partitionMetadata
        partition = from[this.#turn % from.length]?.partitionId ?? 0
        this.#spread.set(topic, partition)
      }
    }
    entry.partition = partition
    return partition
  }

  /** Another producer, where this one could take the batch for one that failed. */
  async #renew(next: Batch): Promise<void> {
    const before = this.#unsure
    const why =
      this.#broken ??
      (before && before !== next && this.#options.idempotent ? 'another batch follows one that failed' : undefined)
    if (before !== next) this.#unsure = undefined
    if (why === undefined) return
    this.#broken = undefined
    const producer = this.#producer
    if (!producer) return
    this.#producer = undefined
    this.#known.clear()
    const unsure = before ? (this.#entries.get(before) ?? []).filter(({ stored }) => !stored).length : 0
    this.#options.reset(why, unsure)
    // It waits for answers that may never come.
    producer.disconnect().catch(() => {})
  }

  #heard(thrown: unknown, entries: readonly Entry[]): KafkaError {
    const topics = new Set(entries.map(({ message }) => message.topic))
    const error = kafkaError(thrown, topics.size === 1 ? `topic ${[...topics][0]}` : '')
    if (error.failure === 'authentication') this.#parts.tokens?.refused()
    if (error.failure === 'sequence') this.#broken = error.message
    // It asks for the topics it has sent to, all of them, at each look: one that was deleted would keep it from all others.
    if (error.failure === 'unknown_topic' && [...topics].some(topic => this.#known.has(topic)))
      this.#broken = 'a topic that was there is there no more'
    return error
  }

  #failed(batch: Batch, error: KafkaError, about: readonly Entry[]): KafkaError {
    const entries = this.#entries.get(batch) ?? []
    return new Failed(error.failure, error.message, {
      cause: error.cause,
      about: about.map(({ message }) => message),
      stored: entries.filter(({ stored }) => stored).map(({ message }) => message),
    })
  }
}

/** By partition, or by topic where the partition was not chosen yet. */
function groupsOf(entries: readonly Entry[]): Entry[][] {
  const groups = new Map<string, Entry[]>()
  for (const entry of entries) {
    const key = `${entry.message.topic}/${entry.partition ?? ''}`
    const group = groups.get(key)
    if (group) group.push(entry)
    else groups.set(key, [entry])
  }
  return [...groups.values()]
}
