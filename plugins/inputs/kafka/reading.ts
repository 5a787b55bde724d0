// Reads as a member of a group, hands chunks over as the engine takes them, and commits what the engine has settled.
import { buffers } from '../../../core/plugin/buffers.ts'
import { asError } from '../../../core/plugin/errors.ts'
import type { Chunk, Context, Summary } from '../../../core/plugin/interfaces.ts'
import { isObject, type Json } from '../../../core/plugin/json.ts'
import { type Channel, channel } from '../../lib/channel.ts'
import type { Consumer, InBatch, KafkaClient, TopicPartition } from '../../lib/kafka/client.ts'
import type { ConnectionSettings } from '../../lib/kafka/options.ts'
import { cutBatch } from './cutting.ts'
import { type Position, type Share, Shares } from './shares.ts'

export interface ReadingOptions {
  readonly group_id: string
  readonly topics: readonly string[]
  readonly pattern: RegExp | undefined
  readonly from: 'earliest' | 'latest'
  readonly unwrap?: string | undefined
  readonly decorate: boolean
  readonly id_header: string
  readonly session_timeout_ms: number
  readonly heartbeat_interval_ms: number
  readonly rebalance_timeout_ms: number
  readonly commit_interval_ms: number
  readonly fetch_bytes: number
  readonly fetch_wait_ms: number
}

interface Ready {
  readonly chunk: Chunk
  readonly share: Share
}

/** What was read and the engine has not taken yet. */
const CHANNEL_BYTES = 4 * 1024 * 1024
/** What a partition that comes back from another member begins with may be delivered already: as much as a pipeline has on its way. */
const AGAIN_BYTES = 64 * 1024 * 1024
/** The last commit waits no longer for a broker that is away: what it would have said is delivered twice. Milliseconds. */
const LAST_COMMIT_MS = 5_000

export class Reading {
  readonly #context: Context
  readonly #client: KafkaClient
  readonly #options: ReadingOptions
  readonly #shares = new Shares()
  readonly #ready: Channel<Ready>
  #member: Consumer | undefined
  #committing: Promise<void> | undefined
  #stopTimer = () => {}
  #well = true
  #closed = false
  #messages = 0

  private constructor(context: Context, client: KafkaClient, options: ReadingOptions) {
    this.#context = context
    this.#client = client
    this.#options = options
    this.#ready = channel<Ready>(CHANNEL_BYTES, ({ chunk }) => chunk.bytes.length + 1_024)
  }

  static async open(context: Context, connection: ConnectionSettings, options: ReadingOptions): Promise<Reading> {
    const { openKafka } = await import('../../lib/kafka/kafkajs/client.ts')
    return new Reading(context, await openKafka(connection, context), options)
  }

  async *read(signal: AbortSignal): AsyncGenerator<Chunk> {
    const { group_id, topics, pattern, from, session_timeout_ms, heartbeat_interval_ms, rebalance_timeout_ms } = this.#options
    const { fetch_bytes, fetch_wait_ms } = this.#options
    const member = this.#client.consumer({
      ...{ groupId: group_id, topics, pattern, from },
      ...{ sessionTimeoutMs: session_timeout_ms, heartbeatIntervalMs: heartbeat_interval_ms },
      ...{ rebalanceTimeoutMs: rebalance_timeout_ms, fetchBytes: fetch_bytes, fetchWaitMs: fetch_wait_ms },
      handlers: {
        assigned: partitions => {
          const going = this.#shares.assign(partitions)
          const names = partitions.map(({ topic, partition }) => `${topic}/${partition}`)
          this.#context.log.info({ group: group_id, partitions: names }, 'kafka: this member reads these partitions')
          return going
        },
        revoking: () => void this.#commit(),
        batch: (batch, until) => this.#take(batch, until),
        outOfRange: partition => this.#outOfRange(partition),
        health: why => this.#health(why),
      },
    })
    this.#member = member
    this.#commitLater()
    const stop = () => {
      member.hold()
      this.#ready.end()
    }
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    try {
      for await (const { chunk, share } of this.#ready) {
        if (signal.aborted) return
        // Another member has it now, and reads it from where this one had committed.
        if (this.#shares.isOwn(share)) yield chunk
        else buffers.recycle(chunk.bytes)
      }
    } finally {
      signal.removeEventListener('abort', stop)
      // It stays in the group until what it has read is delivered and committed.
      member.hold()
    }
  }

  settled(partition: string, position: Json | undefined): void {
    if (isPosition(position)) this.#shares.settle(partition, position)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopTimer()
    await this.#committing
    if (this.#member) await Promise.race([this.#commit(), this.#context.clock.sleep(LAST_COMMIT_MS)])
    await this.#member?.close()
    await this.#client.close()
  }

  summary(id: string): Summary {
    return { title: `Kafka input ${id}`, rows: [['messages', this.#messages]] }
  }

  async #take(batch: InBatch, until: AbortSignal): Promise<void> {
    const { codec, maxEventBytes, metrics, log } = this.#context
    const { unwrap, decorate, id_header } = this.#options
    const share = this.#shares.of(batch)
    if (!share) return
    const { gap, next } = share
    const [first] = batch.messages
    if (gap !== undefined && first) {
      share.gap = undefined
      const facts = { topic: batch.topic, partition: batch.partition, from: gap || 'the committed offset', up_to: first.offset }
      log.error(facts, 'kafka: messages are gone that were not read: their time in the topic was over; raise its retention')
    }
    // kafkajs gives a batch again that it could not finish.
    const seen = next !== undefined && first !== undefined && BigInt(first.offset) < next
    const fresh = seen ? batch.messages.filter(({ offset }) => BigInt(offset) >= next) : batch.messages
    this.#messages += fresh.length
    const cutting = { codec, maxEventBytes, unwrap, decorate, idHeader: id_header }
    for (const { chunk, end, tombstones } of cutBatch({ ...batch, messages: fresh }, cutting)) {
      if (tombstones > 0) metrics.count('kafka_tombstones', 'Messages without a value, which hold no event', tombstones)
      until.throwIfAborted()
      const position: Position = { offset: String(end), share: share.number }
      const again = share.back && share.bytes < AGAIN_BYTES
      share.bytes += chunk.bytes.length
      share.next = end
      // It is in the channel from here on, also when waiting for room is given up.
      await this.#ready.push({ share, chunk: { ...chunk, partition: share.name, position, ...(again && { again }) } }, until)
      share.lag = BigInt(batch.highWatermark) - end
    }
  }

  #outOfRange(partition: TopicPartition): void {
    this.#context.metrics.count('kafka_out_of_range', 'Times that messages were gone before they were read')
    const share = this.#shares.of(partition)
    if (!share) return
    share.gap = share.next === undefined ? '' : String(share.next)
    share.next = undefined
  }

  #health(why: string | undefined): void {
    const { health, log } = this.#context
    if (why === undefined) {
      if (!this.#well) log.info({}, 'kafka: messages can be read again')
      this.#well = true
      health('ok')
      return
    }
    if (this.#well) log.warn({ error: why }, 'kafka: messages cannot be read, trying again')
    this.#well = false
    health('degraded', why)
  }

  #commitLater(): void {
    if (this.#closed) return
    this.#stopTimer = this.#context.clock.after(this.#options.commit_interval_ms, () => {
      const { metrics } = this.#context
      metrics.gauge('kafka_lag', 'Messages of the partitions of this member that are not read yet', this.#shares.lag())
      metrics.gauge('kafka_partitions', 'Partitions that this member reads', this.#shares.count)
      void this.#commit().then(() => this.#commitLater())
    })
  }

  /** Never rejects: what could not be committed is due again. */
  #commit(): Promise<void> {
    const due = this.#shares.due()
    if (due.length === 0 || !this.#member) return this.#committing ?? Promise.resolve()
    const running = this.#member.commit(due).then(
      () => this.#shares.committed(due),
      thrown => this.#context.log.debug({ error: asError(thrown).message }, 'kafka: offsets were not committed, trying again'),
    )
    this.#committing = running
    return running
  }
}

function isPosition(position: Json | undefined): position is Position {
  return isObject(position) && typeof position['offset'] === 'string' && typeof position['share'] === 'number'
}
