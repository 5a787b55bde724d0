// What Penstock needs of a Kafka client: the plugins know this and nothing of the library behind it.
import { PenstockError } from '../../../core/plugin/errors.ts'

export interface KafkaClient {
  producer(options: ProducerOptions): Producer
  /** A member of a consumer group; it joins at once, and again whenever it has to. */
  consumer(options: ConsumerOptions): Consumer
  /** Ends whatever is still under way. */
  close(): Promise<void>
}

export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof COMPRESSIONS)[number]

export interface ProducerOptions {
  /** A batch that is sent again is stored once. */
  readonly idempotent: boolean
  readonly compression: Compression
  /** The broker may make topics that do not exist. */
  readonly createTopics: boolean
  /** Another producer goes on in the place of this one; `unsure` messages may be stored twice because of it. */
  reset(why: string, unsure: number): void
}

/** A message to be sent. */
export interface OutMessage {
  readonly topic: string
  readonly key: string | undefined
  readonly value: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

/** What is sent together. The object is the batch's identity: sent again after a failure, it is the same batch to Kafka. */
export interface Batch {
  readonly messages: readonly OutMessage[]
}

export interface Producer {
  /**
   * Resolves when all replicas in sync have the messages. Rejects with a KafkaError otherwise; some of them may be there then. The same
   * batch may be sent again, which repeats nothing that is known to be stored, and nothing at all where the producer is idempotent.
   * Any other batch may follow too. One at a time.
   */
  send(batch: Batch): Promise<void>
  close(): Promise<void>
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}
/** The offset of the message to go on with, as decimal digits. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: string
}

export interface ConsumerOptions {
  readonly groupId: string
  readonly topics: readonly string[]
  /** Topics whose name matches are read too, also those that appear later. */
  readonly pattern: RegExp | undefined
  /** Where a partition begins for which the group has committed nothing. */
  readonly from: 'earliest' | 'latest'
  readonly sessionTimeoutMs: number
  readonly heartbeatIntervalMs: number
  readonly rebalanceTimeoutMs: number
  /** Bytes of one answer, of all partitions and of one. A longer message comes all the same. */
  readonly fetchBytes: number
  readonly fetchWaitMs: number
  readonly handlers: ConsumerHandlers
}

export interface ConsumerHandlers {
  /**
   * These partitions, and no other ones, are read from here on. `committed` is the group's offset, where it has one. Gives offsets that
   * reading goes on from where that is another one.
   */
  assigned(partitions: readonly (TopicPartition & { readonly committed: string | undefined })[]): readonly PartitionOffset[]
  /** Partitions may go to other members now: the last moment to commit for them. */
  revoking(): void
  /** Messages of one partition, in order. The next ones are read when it resolves. */
  batch(batch: InBatch, signal: AbortSignal): Promise<void>
  /** What the group had not read of a partition is not there any more. */
  outOfRange(partition: TopicPartition): void
  /** How the member is: undefined when all is well. */
  health(why: string | undefined): void
}

export interface InBatch extends TopicPartition {
  readonly messages: readonly InMessage[]
  /** The offset behind the batch: behind the last message, or what was left out after it. */
  readonly end: string
  /** The offset behind the partition's last message. */
  readonly highWatermark: string
}

export interface InMessage {
  readonly offset: string
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** Milliseconds since 1970, as decimal digits. */
  readonly timestamp: string
  readonly headers: Readonly<Record<string, string>>
}

export interface Consumer {
  /** Commits for the group, once. Rejects when that did not work; partitions of other members must not be among them. */
  commit(offsets: readonly PartitionOffset[]): Promise<void>
  /** Reads nothing more, and stays a member that may commit. */
  hold(): void
  /** Leaves the group. */
  close(): Promise<void>
}

/**
 * unreachable: no answer, or no leader just now. authentication, authorization: somebody has to allow it. sequence: the broker does not
 * know how this goes on from what the producer sent before. refused: anything else that the broker said.
 */
export type KafkaFailure =
  | 'unreachable'
  | 'authentication'
  | 'authorization'
  | 'unknown_topic'
  | 'too_large'
  | 'sequence'
  | 'refused'

export class KafkaError extends PenstockError {
  readonly failure: KafkaFailure
  /** Which messages of the batch it was about, and which of them are known to be stored; empty outside of sending. */
  readonly about: readonly OutMessage[]
  readonly stored: readonly OutMessage[]

  constructor(
    failure: KafkaFailure,
    message: string,
    options: ErrorOptions & { readonly about?: readonly OutMessage[]; readonly stored?: readonly OutMessage[] } = {},
  ) {
    super(`PEN_KAFKA_${failure.toUpperCase()}`, message, options)
    this.failure = failure
    this.about = options.about ?? []
    this.stored = options.stored ?? []
  }
}
