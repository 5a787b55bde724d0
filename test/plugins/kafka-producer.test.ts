// The producer never lets a batch be taken for the repeat of another, without a broker: what is sent through which producer.
import kafkajs from 'kafkajs'
import t from 'tap'
import type { KafkaError, OutMessage } from '../../plugins/lib/kafka/client.ts'
import { KafkajsProducer } from '../../plugins/lib/kafka/kafkajs/producer.ts'
import { answered, fakeKafka, messageOf, unanswered } from './kafka-support.ts'

function producerOf(partitions = 3, idempotent = true) {
  const fake = fakeKafka(kafkajs, partitions)
  const resets: string[] = []
  const reset = (why: string, unsure: number) => resets.push(`${unsure}: ${why}`)
  const producer = new KafkajsProducer(fake.parts, { idempotent, compression: 'none', createTopics: false, reset })
  return { fake, producer, resets }
}

const keyed = (count: number): OutMessage[] => Array.from({ length: count }, (_, n) => messageOf(`m${n}`, { key: `k${n}` }))

t.test('a batch that failed goes again through the same producer, with the same messages for the same partitions', async t => {
  const { fake, producer, resets } = producerOf()
  const batch = { messages: [messageOf('a'), messageOf('b'), messageOf('c')] }
  fake.answer = (_, send) => {
    if (send <= 2) throw unanswered()
  }
  for (let tries = 0; tries < 2; tries++)
    await t.rejects(producer.send(batch), { failure: 'unreachable', message: /127\.0\.0\.1:9092.*tried again/ })
  await producer.send(batch)
  t.equal(fake.sends.length, 3)
  for (const send of fake.sends) t.strictSame(send, fake.sends[0])
  t.strictSame(resets, [])
})

t.test('a batch goes again to the partitions it was for, when its topic has more of them by then', async t => {
  const { fake, producer } = producerOf(2)
  const batch = { messages: [...keyed(9), messageOf('x'), messageOf('y')] }
  fake.answer = (_, send) => {
    if (send === 1) throw unanswered()
  }
  await t.rejects(producer.send(batch))
  fake.partitions = 7
  await producer.send(batch)
  const again = fake.sends.slice(1).flatMap(({ parts }) => parts)
  t.strictSame(again.sort(), fake.sends[0]?.parts)
})

t.test(
  'row 63: another batch behind one that failed goes through another producer, and what may come twice is counted',
  async t => {
    const { fake, producer, resets } = producerOf()
    fake.answer = (_, send) => {
      if (send === 1) throw unanswered()
    }
    await t.rejects(producer.send({ messages: [messageOf('a'), messageOf('b')] }))
    await producer.send({ messages: [messageOf('c'), messageOf('d')] })
    await producer.send({ messages: [messageOf('e'), messageOf('f')] })
    t.strictSame(
      fake.sends.map(({ producer }) => producer),
      [1, 2, 2],
    )
    t.strictSame(resets, ['2: another batch follows one that failed'])
  },
)

t.test('a producer that is not idempotent has nothing to mistake', async t => {
  const { fake, producer, resets } = producerOf(3, false)
  fake.answer = (_, send) => {
    if (send === 1) throw unanswered()
  }
  await t.rejects(producer.send({ messages: [messageOf('a')] }))
  await producer.send({ messages: [messageOf('b')] })
  t.strictSame(resets, [])
})

t.test('row 63: a producer whose numbers the broker does not take is replaced, and the same batch goes again', async t => {
  for (const type of ['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID', 'INVALID_PRODUCER_EPOCH']) {
    const { fake, producer, resets } = producerOf()
    fake.answer = (_, send) => {
      if (send === 1) throw answered(type)
    }
    const batch = { messages: [messageOf('a'), messageOf('b')] }
    await t.rejects(producer.send(batch), { name: 'KafkaError', failure: 'sequence' })
    await producer.send(batch)
    t.strictSame(
      fake.sends.map(({ producer }) => producer),
      [1, 2],
    )
    t.match(resets[0], new RegExp(`^2: kafka: topic logs: .*${type}`))
  }
})

t.test('a message without a key keeps its partition, and the batches take turns', async t => {
  const { fake, producer } = producerOf()
  for (let n = 0; n < 6; n++) await producer.send({ messages: [messageOf(`a${n}`), messageOf(`b${n}`)] })
  t.strictSame(new Set(fake.sends.map(({ parts }) => parts[0]?.slice(0, 6))).size, 3, 'all three partitions are used')
  for (const { parts } of fake.sends) t.equal(parts.length, 1, 'a batch goes to one of them')
})

t.test('messages with one key go to the partition that Java clients choose', async t => {
  // murmur2 of the key, as the Kafka protocol's clients have it: org.apache.kafka.common.utils.Utils, positive, modulo partitions.
  const { fake, producer } = producerOf(10)
  await producer.send({ messages: ['21', 'foobar', 'a-little-bit-long-string'].map(key => messageOf(key, { key })) })
  const expected = { '21': -973932308, foobar: -790332482, 'a-little-bit-long-string': -985981536 }
  const places = Object.entries(expected).map(([key, hash]) => `logs/${(hash & 0x7fffffff) % 10}: ${key}`)
  t.strictSame(fake.sends[0]?.parts, places.sort())
})

t.test('what is stored of a batch is not sent again while the rest of it waits', async t => {
  const { fake, producer } = producerOf()
  const batch = { messages: [...keyed(9), messageOf('x', { topic: 'nowhere' })] }
  fake.answer = parts => {
    if (parts.some(part => part.startsWith('nowhere'))) throw answered('UNKNOWN_TOPIC_OR_PARTITION')
  }
  const failed = (await producer.send(batch).catch(error => error)) as KafkaError
  t.equal(failed.failure, 'unknown_topic')
  t.match(failed.message, /topic nowhere: .*make the topic/)
  t.equal(failed.stored.length, 9)
  const before = fake.sends.length
  await t.rejects(producer.send(batch))
  fake.answer = () => {}
  await producer.send(batch)
  for (const { parts } of fake.sends.slice(before)) t.match(parts, [/^nowhere\/\d: x$/])
})

t.test('of a batch that is too large the partition is found, and no other producer is needed for what comes then', async t => {
  const { fake, producer, resets } = producerOf()
  const batch = { messages: [messageOf('long', { key: 'k0' }), ...keyed(6).slice(1)] }
  fake.answer = parts => {
    if (parts.some(part => part.includes('long'))) throw answered('MESSAGE_TOO_LARGE')
  }
  const failed = (await producer.send(batch).catch(error => error)) as KafkaError
  t.equal(failed.failure, 'too_large')
  t.ok(failed.about.some(({ value }) => String(value) === 'long'))
  t.equal(failed.about.length + failed.stored.length, batch.messages.length)
  await producer.send({ messages: [messageOf('next')] })
  t.strictSame(resets, [])
})

t.test('a topic that was deleted does not keep the producer from the others', async t => {
  const { fake, producer, resets } = producerOf()
  await producer.send({ messages: [messageOf('a', { topic: 'gone' })] })
  fake.answer = () => {
    throw answered('UNKNOWN_TOPIC_OR_PARTITION')
  }
  const batch = { messages: [messageOf('b', { topic: 'gone' })] }
  await t.rejects(producer.send(batch))
  fake.answer = () => {}
  await producer.send(batch)
  t.match(resets, [/a topic that was there is there no more/])
})

t.test('failures are told apart', async t => {
  const expected = {
    TOPIC_AUTHORIZATION_FAILED: 'authorization',
    SASL_AUTHENTICATION_FAILED: 'authentication',
    ILLEGAL_SASL_STATE: 'authentication',
    NOT_LEADER_FOR_PARTITION: 'unreachable',
    NOT_ENOUGH_REPLICAS: 'unreachable',
    RECORD_LIST_TOO_LARGE: 'too_large',
    UNSUPPORTED_COMPRESSION_TYPE: 'refused',
  }
  for (const [type, failure] of Object.entries(expected)) {
    const { fake, producer } = producerOf()
    fake.answer = () => {
      throw answered(type)
    }
    await t.rejects(producer.send({ messages: [messageOf('a')] }), { failure, code: `PEN_KAFKA_${failure.toUpperCase()}` }, type)
  }
})
