// Kafka in a test's hands: a producer as kafkajs has it, items, and messages.
import type kafkajs from 'kafkajs'
import { systemClock } from '../../core/observe/clock.ts'
import type { Item } from '../../core/plugin/interfaces.ts'
import type { InBatch, InMessage, OutMessage } from '../../plugins/lib/kafka/client.ts'
import type { KafkajsParts } from '../../plugins/lib/kafka/kafkajs/client.ts'

export function itemOf(text: string, address: Item['address'] = { to: 'logs' }, id = text): Item {
  const bytes = Buffer.from(text)
  return { bytes, memory: bytes, start: 0, end: bytes.length, id, address, tries: 0, again: false }
}

export function messageOf(text: string, rest: Partial<OutMessage> = {}): OutMessage {
  return { topic: 'logs', key: undefined, headers: {}, value: Buffer.from(text), ...rest }
}

export function inMessage(offset: number, value: string | null, rest: Partial<InMessage> = {}): InMessage {
  return {
    offset: String(offset),
    key: null,
    value: value === null ? null : Buffer.from(value),
    timestamp: '0',
    headers: {},
    ...rest,
  }
}

export function inBatch(messages: readonly InMessage[], rest: Partial<InBatch> = {}): InBatch {
  const end = String(Number(messages.at(-1)?.offset ?? -1) + 1)
  return { topic: 'logs', partition: 3, messages, end, highWatermark: end, ...rest }
}

/** What reached a topic's partition in one send: `topic/partition: text text`. */
export type Sent = string

export interface FakeKafka {
  readonly parts: KafkajsParts
  /** All sends in order, each with its producer's number before it. */
  readonly sends: { readonly producer: number; readonly parts: readonly Sent[] }[]
  /** How many partitions each topic has. */
  partitions: number
  /** Called before each send is answered; a throw is the answer. */
  answer: (parts: readonly Sent[], send: number) => void
}

/** kafkajs without brokers: partitions are chosen as it does, anew at each send. */
export function fakeKafka(library: typeof kafkajs, partitions = 3): FakeKafka {
  let producers = 0
  const fake: FakeKafka = {
    sends: [],
    partitions,
    answer: () => {},
    parts: {
      ...{
        library,
        clock: systemClock,
        heard: new Set(),
        tokens: undefined,
        metadataMaxAgeMs: 1_000,
        memberKafka: undefined as never,
      },
      kafka: {
        producer({ createPartitioner }: kafkajs.ProducerConfig) {
          const number = ++producers
          const choose = createPartitioner!()
          return {
            connect: async () => {},
            disconnect: async () => {},
            async sendBatch({ topicMessages = [] }: kafkajs.ProducerBatch) {
              const parts = new Map<string, string[]>()
              for (const { topic, messages } of topicMessages)
                for (const message of messages) {
                  const partitionMetadata = Array.from({ length: fake.partitions }, (_, partitionId) => ({
                    partitionId,
                    leader: 1,
                  }))
                  const partition = choose({ topic, partitionMetadata, message } as unknown as kafkajs.PartitionerArgs)
                  const place = `${topic}/${partition}`
                  // What it encodes is a copy.
                  const { value } = { ...message }
                  parts.set(place, [...(parts.get(place) ?? []), String(value)])
                }
              const sent = [...parts].map(([place, texts]) => `${place}: ${texts.join(' ')}`).sort()
              fake.sends.push({ producer: number, parts: sent })
              fake.answer(sent, fake.sends.length)
            },
          }
        },
      } as unknown as kafkajs.Kafka,
    },
  }
  return fake
}

/** An error as kafkajs rejects with, for an answer of a broker. */
export function answered(type: string): Error {
  return Object.assign(new Error(`answer ${type}`), {
    name: 'KafkaJSNonRetriableError',
    cause: Object.assign(new Error(`the broker says ${type}`), { name: 'KafkaJSProtocolError', type }),
  })
}

/** As kafkajs rejects when no answer came. */
export function unanswered(): Error {
  return Object.assign(new Error('Closed connection'), { name: 'KafkaJSConnectionClosedError', broker: '127.0.0.1:9092' })
}
