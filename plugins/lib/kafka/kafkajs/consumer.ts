// A member of a consumer group, made of kafkajs: joins again whenever it has to, and commits nothing by itself.
import type kafkajs from 'kafkajs'
import type { Consumer, ConsumerOptions, InMessage, PartitionOffset } from '../client.ts'
import type { KafkajsParts } from './client.ts'
import { kafkaError } from './errors.ts'
import { lookForTopics, MISSING_MS, otherTopics, type Wanted } from './topics.ts'

/** Between two tries to become a member, doubled from one to the other. Milliseconds. */
const [LEAST_WAIT_MS, MOST_WAIT_MS] = [500, 10_000]
/** Between two questions for the group's offsets. Milliseconds. */
const ASK_AGAIN_MS = 500
/** The group has committed nothing. Other negative ones are kafkajs's own: it looks for the oldest message where it finds one. */
const NONE = '-1'
const OUT_OF_RANGE = 'Offset out of range, resetting to default offset'

/** One life as a member: from its joining to its end. */
interface Life {
  readonly consumer: kafkajs.Consumer
  readonly topics: readonly string[]
  /** A sentence on topics that are not there, or nothing. */
  readonly missing: string
  readonly signal: AbortSignal
  /** Counts the shares that the group has given. */
  share: number
  /** The share whose partitions were told: before, somebody might commit for those of the one before. */
  told: number
  /** Resolves when it is known where the partitions of the share begin. */
  ready: Promise<void>
  /** Commits at once and once; kafkajs gives it with a batch. */
  commit: kafkajs.EachBatchPayload['commitOffsetsIfNecessary'] | undefined
}

export class GroupMember implements Consumer {
  readonly #parts: KafkajsParts
  readonly #options: ConsumerOptions
  readonly #stop = new AbortController()
  readonly #admin: kafkajs.Admin
  readonly #wanted: Wanted
  readonly #running: Promise<void>
  #adminOpen: Promise<void> | undefined
  #life: Life | undefined
  #held = false
  #troubled = false

  constructor(parts: KafkajsParts, options: ConsumerOptions) {
    this.#parts = parts
    this.#options = options
    this.#admin = parts.kafka.admin()
    const { topics, pattern } = options
    this.#wanted = { topics, pattern, clock: parts.clock, everyMs: parts.metadataMaxAgeMs, admin: () => this.#connected() }
    // It says so nowhere else.
    parts.heard.add(({ level, namespace, log: { message, topic, partition } }) => {
      // Behind the share's beginning, and before its first messages.
      if (message === OUT_OF_RANGE)
        void this.#life?.ready.then(() => options.handlers.outOfRange({ topic: String(topic), partition: Number(partition) }))
      // Tried again by kafkajs, for a while.
      if (
        level === parts.library.logLevel.ERROR &&
        namespace === 'Connection' &&
        message.startsWith('Connection ') &&
        !this.#stop.signal.aborted
      )
        this.#trouble(message)
    })
    this.#running = this.#run()
  }

  async commit(offsets: readonly PartitionOffset[]): Promise<void> {
    const life = this.#life
    if (!life || life.share === 0 || life.told !== life.share)
      throw kafkaError(new Error('the group is sharing its partitions just now'))
    try {
      if (!life.commit) await life.consumer.commitOffsets([...offsets])
      else {
        const topics = Map.groupBy(offsets, ({ topic }) => topic)
        await life.commit({ topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })) })
      }
    } catch (thrown) {
      throw kafkaError(thrown, `group ${this.#options.groupId}`)
    }
  }

  hold(): void {
    this.#held = true
    this.#pause()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#admin.disconnect().catch(() => {})
  }

  /** Is a member, again and again. */
  async #run(): Promise<void> {
    const { clock } = this.#parts
    const { signal } = this.#stop
    for (let wait = LEAST_WAIT_MS; !signal.aborted; ) {
      try {
        const { there, missing } = await lookForTopics(this.#wanted)
        if (there.length === 0) {
          this.#trouble(`${missing}; make it and it goes on`)
          await clock.sleep(MISSING_MS, signal)
          continue
        }
        await this.#live(there, missing, () => {
          wait = LEAST_WAIT_MS
        })
      } catch (thrown) {
        if (signal.aborted) return
        const error = kafkaError(thrown, `group ${this.#options.groupId}`)
        if (error.failure === 'authentication') this.#parts.tokens?.refused()
        this.#trouble(error.message)
        await clock.sleep(wait, signal).catch(() => {})
        wait = Math.min(2 * wait, MOST_WAIT_MS)
      }
    }
  }

  /** Resolves when the member has to begin anew with other topics; rejects when it cannot go on. */
  async #live(topics: readonly string[], missing: string, joined: () => void): Promise<void> {
    const { memberKafka, metadataMaxAgeMs } = this.#parts
    const { groupId, sessionTimeoutMs, heartbeatIntervalMs, rebalanceTimeoutMs, fetchBytes, fetchWaitMs, handlers } =
      this.#options
    const consumer = memberKafka.consumer({
      ...{ groupId, metadataMaxAge: metadataMaxAgeMs, allowAutoTopicCreation: false },
      ...{ sessionTimeout: sessionTimeoutMs, heartbeatInterval: heartbeatIntervalMs, rebalanceTimeout: rebalanceTimeoutMs },
      ...{ maxBytes: fetchBytes, maxBytesPerPartition: fetchBytes, maxWaitTimeInMs: fetchWaitMs },
      // Whatever ends it is told to us, and we begin anew.
      retry: { restartOnFailure: async () => false },
    })
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.#stop.signal])
    const life: Life = { consumer, topics, missing, signal, share: 0, told: 0, ready: Promise.resolve(), commit: undefined }
    const crashed = new Promise<never>((_, reject) => {
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    })
    crashed.catch(() => {})
    consumer.on(consumer.events.REBALANCING, () => handlers.revoking())
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      joined()
      this.#joined(life, payload.memberAssignment)
    })
    consumer.on(consumer.events.FETCH, () => this.#well(life))
    this.#life = life
    try {
      await consumer.connect()
      // Where a partition begins is said when it is assigned. Where the broker has not got what comes next any more, the oldest that it has
      // comes next, and never only what is new.
      await consumer.subscribe({ topics: [...topics], fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        eachBatch: payload => this.#batch(life, payload),
      })
      await Promise.race([crashed, otherTopics(topics, this.#wanted, signal)])
    } finally {
      over.abort()
      if (this.#life === life) this.#life = undefined
      await consumer.disconnect().catch(() => {})
    }
  }

  /** The group has given this member its partitions. */
  #joined(life: Life, assignment: Readonly<Record<string, readonly number[]>>): void {
    const share = ++life.share
    if (this.#held) this.#pause()
    const still = () => share === life.share && !life.signal.aborted
    life.ready = (async () => {
      while (still()) {
        try {
          const offsets = await this.#begins(life, assignment)
          if (!still()) return
          for (const offset of offsets) life.consumer.seek(offset)
          this.#troubled = true
          this.#well(life)
          return
        } catch (thrown) {
          if (!still()) return
          this.#trouble(kafkaError(thrown, `group ${this.#options.groupId}`).message)
          await this.#parts.clock.sleep(ASK_AGAIN_MS, life.signal).catch(() => {})
        }
      }
    })()
  }

  /** Where the partitions of a share go on, where that is not what the group has committed, or their beginning. */
  async #begins(life: Life, assignment: Readonly<Record<string, readonly number[]>>): Promise<PartitionOffset[]> {
    const { groupId, from, handlers } = this.#options
    const share = life.share
    const topics = Object.keys(assignment).filter(topic => assignment[topic]!.length > 0)
    const admin = await this.#connected()
    const known = topics.length === 0 ? [] : await admin.fetchOffsets({ groupId, topics })
    const committed = new Map<string, string>()
    for (const { topic, partitions } of known)
      for (const { partition, offset } of partitions) if (offset !== NONE) committed.set(`${topic}/${partition}`, offset)
    const all = topics.flatMap(topic => assignment[topic]!.map(partition => ({ topic, partition })))
    const latest: PartitionOffset[] = []
    if (from === 'latest') {
      const fresh = Map.groupBy(
        all.filter(({ topic, partition }) => !committed.has(`${topic}/${partition}`)),
        ({ topic }) => topic,
      )
      for (const [topic, own] of fresh) {
        const ends = await admin.fetchTopicOffsets(topic)
        for (const { partition } of own) {
          const offset = ends.find(end => end.partition === partition)?.high
          if (offset !== undefined) latest.push({ topic, partition, offset })
        }
      }
      // At once, or what comes between now and the first commit would be passed over by whoever reads the partition then.
      if (latest.length > 0 && share === life.share) await life.consumer.commitOffsets(latest)
      for (const { topic, partition, offset } of latest) committed.set(`${topic}/${partition}`, offset)
    }
    if (share !== life.share || life.signal.aborted) return []
    life.told = share
    const own = handlers.assigned(all.map(one => ({ ...one, committed: committed.get(`${one.topic}/${one.partition}`) })))
    const elsewhere = new Set(own.map(({ topic, partition }) => `${topic}/${partition}`))
    return [...own, ...latest.filter(({ topic, partition }) => !elsewhere.has(`${topic}/${partition}`))]
  }

  async #batch(life: Life, payload: kafkajs.EachBatchPayload): Promise<void> {
    const { batch, heartbeat, isRunning, isStale, resolveOffset, commitOffsetsIfNecessary } = payload
    const { share } = life
    life.commit = commitOffsetsIfNecessary
    await this.#alive(life.ready, heartbeat)
    // It was asked for before it was known where to begin, or belongs to a share that is over.
    if (isStale() || !isRunning() || share !== life.share || this.#held) return
    const { topic, partition, highWatermark } = batch
    const end = String(BigInt(batch.lastOffset()) + 1n)
    const messages = batch.messages.map(inMessage)
    // What is under way of a share that is over must not go on beside the next one.
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, life.signal])
    try {
      await this.#alive(this.#options.handlers.batch({ topic, partition, messages, end, highWatermark }, signal), heartbeat)
    } finally {
      over.abort()
    }
    resolveOffset(batch.lastOffset())
  }

  /** Waits, and stays a member meanwhile. Rejects when the group wants to share anew. */
  async #alive(work: Promise<void>, heartbeat: () => Promise<void>): Promise<void> {
    const { clock } = this.#parts
    work.catch(() => {})
    for (;;) {
      const { promise: beat, resolve } = Promise.withResolvers<boolean>()
      const cancel = clock.after(this.#options.heartbeatIntervalMs / 2, () => resolve(false))
      try {
        if (await Promise.race([work.then(() => true), beat])) return
      } finally {
        cancel()
      }
      await heartbeat()
    }
  }

  #trouble(why: string): void {
    this.#troubled = true
    this.#options.handlers.health(why.startsWith('kafka: ') ? why : `kafka: ${why}`)
  }

  /** The brokers answer. */
  #well(life: Life): void {
    if (!this.#troubled) return
    this.#troubled = false
    this.#options.handlers.health(life.missing === '' ? undefined : `kafka: ${life.missing}; the others are read`)
  }

  #pause(): void {
    const life = this.#life
    if (life && life.share > 0) life.consumer.pause(life.topics.map(topic => ({ topic })))
  }

  async #connected(): Promise<kafkajs.Admin> {
    this.#adminOpen ??= this.#admin.connect().catch(error => {
      this.#adminOpen = undefined
      throw error
    })
    await this.#adminOpen
    return this.#admin
  }
}

function inMessage({ offset, key, value, timestamp, headers = {} }: kafkajs.KafkaMessage): InMessage {
  const texts: Record<string, string> = {}
  for (const [name, given] of Object.entries(headers)) {
    const one = Array.isArray(given) ? given.at(-1) : given
    if (one !== undefined && one !== null) texts[name] = one.toString()
  }
  return { offset, key, value, timestamp, headers: texts }
}
