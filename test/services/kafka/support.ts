// Kafka in a test's hands: a broker of its own, the plugins in pipelines, and another client that looks at what is there.
import { join } from 'node:path'
import kafkajs, { type KafkaMessage } from 'kafkajs'
import type { Test } from 'tap'
import { completeOptions } from '../../../core/config/creation.ts'
import type { PipelineEnd } from '../../../core/flow/pipeline.ts'
import type { Input, Log, Output, Site } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import json from '../../../plugins/codecs/json.ts'
import kafkaInput from '../../../plugins/inputs/kafka/index.ts'
import { installCodecs } from '../../../plugins/lib/kafka/kafkajs/codecs.ts'
import { mendKafkajs } from '../../../plugins/lib/kafka/kafkajs/mend.ts'
import kafkaOutput from '../../../plugins/outputs/kafka/index.ts'
import { inProcess, listInput, listOutput, type Setup } from '../../kit/in-process.ts'
import { until } from '../../kit/until.ts'
import { type KafkaBroker, kafkaMissing, killKafka, startKafka } from './server.ts'

mendKafkajs()
await installCodecs(kafkajs)

/** What a skip says; undefined where a broker can be had. */
export const missing = kafkaMissing()

/** A broker that ends with the test. Its folder is below the test's own, which must not be made anew then. */
export async function broker(t: Test, set: Readonly<Record<string, string>> = {}): Promise<KafkaBroker> {
  const dir = join(t.testdir({}), 'broker')
  // Before the folder is removed.
  t.teardown(() => killKafka(dir))
  return startKafka({ dir, set })
}

/** Another client: it looks, and makes topics. */
export function onlooker(t: Test, address: string): Onlooker {
  const kafka = new kafkajs.Kafka({
    brokers: [address],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 30, maxRetryTime: 500 },
  })
  const admin = kafka.admin()
  const opened = admin.connect()
  t.teardown(() => admin.disconnect())
  return {
    kafka,
    async admin() {
      await opened
      return admin
    },
    async topic(topic, numPartitions = 1, config = {}) {
      await opened
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
      await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }] })
    },
    async stored(topic) {
      await opened
      const offsets = await admin.fetchTopicOffsets(topic)
      return offsets.reduce((sum, { high, low }) => sum + Number(high) - Number(low), 0)
    },
    async read(topic) {
      const count = await this.stored(topic)
      const consumer = kafka.consumer({ groupId: `looks-${Math.random()}`, maxWaitTimeInMs: 100 })
      await consumer.connect()
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      const found: Found[] = []
      await consumer.run({
        eachMessage: async ({ partition, message }) => {
          found.push({ partition, message, value: message.value?.toString() ?? '' })
        },
      })
      try {
        await until(
          () => found.length >= count,
          () => `${found.length} of ${count} messages`,
        )
      } finally {
        await consumer.disconnect()
      }
      return found
    },
    async write(topic, messages) {
      const producer = kafka.producer({ idempotent: true, createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
      await producer.connect()
      for (let at = 0; at < messages.length; at += 50) await producer.send({ topic, messages: messages.slice(at, at + 50) })
      await producer.disconnect()
    },
    async members(groupId) {
      await opened
      // A new broker has no coordinator yet.
      const { groups } = await admin.describeGroups([groupId]).catch(() => ({ groups: [] }))
      return groups[0]?.state === 'Stable' ? groups[0].members.length : 0
    },
    async committed(groupId, topic) {
      await opened
      const offsets = await admin.fetchOffsets({ groupId, topics: [topic] })
      return offsets.flatMap(({ partitions }) => partitions).reduce((sum, { offset }) => sum + Math.max(0, Number(offset)), 0)
    },
  }
}

export interface Found {
  readonly partition: number
  readonly message: KafkaMessage
  readonly value: string
}

export interface Onlooker {
  readonly kafka: kafkajs.Kafka
  admin(): Promise<kafkajs.Admin>
  topic(name: string, partitions?: number, config?: Readonly<Record<string, string>>): Promise<void>
  /** How many messages a topic holds. */
  stored(topic: string): Promise<number>
  /** All messages of a topic. */
  read(topic: string): Promise<Found[]>
  write(topic: string, messages: kafkajs.Message[]): Promise<void>
  /** How many members a group has, once it has shared the partitions among them; 0 while it does. */
  members(groupId: string): Promise<number>
  /** What a group has committed of a topic, of all partitions together. */
  committed(groupId: string, topic: string): Promise<number>
}

const SITE = { id: 'kafka', folder: '/', secretFile: () => undefined } as unknown as Site

export async function outputOf(options: JsonObject): Promise<() => Output> {
  const complete = await completeOptions(kafkaOutput, options, '/')
  return () => kafkaOutput.create(complete, SITE)
}

export async function inputOf(options: JsonObject): Promise<Input> {
  return kafkaInput.create(await completeOptions(kafkaInput, options, '/'), SITE)
}

export const codec = json.create(await completeOptions(json, {}, '/'), SITE)

/** What was logged, as `level message {fields}`. */
export function keptLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = []
  const keep = (level: string) => (fields: JsonObject, message: string) => {
    lines.push(`${level} ${message} ${JSON.stringify(fields)}`)
  }
  return { lines, log: { debug() {}, info: keep('info'), warn: keep('warn'), error: keep('error') } }
}

export interface Sending extends Pick<Setup, 'log' | 'store'> {
  readonly options: JsonObject
  readonly records: readonly JsonObject[]
  readonly batch?: number
}

/** A pipeline that sends records to Kafka. */
export async function sending({ options, records, batch = 100, ...rest }: Sending) {
  const output = await outputOf(options)
  return inProcess({
    ...rest,
    inputs: { in: listInput(records, 50) },
    outputs: {
      kafka: {
        output,
        config: { batch: { max_events: batch, max_bytes: 1 << 20, max_ms: 5 }, retry: { min_ms: 50, max_ms: 500 } },
      },
    },
  })
}

/** A pipeline that reads from Kafka into a list. */
export async function receiving(
  options: JsonObject,
  delivered: JsonObject[],
  before?: Output['write'],
  rest: Partial<Setup> = {},
) {
  return inProcess({
    codec,
    inputs: { kafka: await inputOf({ fetch_wait_ms: 50, commit_interval_ms: 20, ...options }) },
    outputs: { out: { output: listOutput(delivered, before) } },
    ...rest,
  })
}

export function lettersOf(store: ReturnType<typeof inProcess>['store']): Promise<readonly { readonly error: string }[]> {
  return store.letters.list({})
}

export function ended(end: PipelineEnd): string {
  return `${end.status} ${end.error?.message ?? ''}`.trim()
}
