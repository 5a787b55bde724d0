// What the kafka output makes of items and of answers, without a broker.
import t from 'tap'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import type { Address, Event, Item } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { type Batch, KafkaError, type KafkaFailure, type OutMessage, type Producer } from '../../plugins/lib/kafka/client.ts'
import { addressesOf } from '../../plugins/outputs/kafka/addresses.ts'
import { Writing } from '../../plugins/outputs/kafka/writing.ts'
import { itemOf } from './kafka-support.ts'

const texts = (messages: readonly OutMessage[]) => messages.map(({ value }) => Buffer.from(value).toString()).join(' ')

/** A producer that keeps what it was sent; `answer` may throw. */
function producerOf(answer: (batch: Batch, send: number) => void = () => {}): { producer: Producer; sent: Batch[] } {
  const sent: Batch[] = []
  return {
    sent,
    producer: {
      async send(batch) {
        sent.push(batch)
        answer(batch, sent.length)
      },
      async close() {},
    },
  }
}

async function write(writing: Writing, items: readonly Item[], producer: Producer) {
  const refused = new Map<number, Error>()
  await writing.write(items, (index, error) => refused.set(index, error), producer)
  return refused
}

const writingOf = (maxRequestBytes = 1_000_000, idHeader = 'event-id') => new Writing({ maxRequestBytes, idHeader })

function fails(failure: KafkaFailure, about: readonly OutMessage[] = [], stored: readonly OutMessage[] = []): never {
  throw new KafkaError(failure, `kafka: ${failure}`, { about, stored })
}

t.test('row 62: requests stay below their limit, and a longer message goes by itself', async t => {
  const { producer, sent } = producerOf()
  const items = [
    ...Array.from({ length: 40 }, (_, n) => itemOf(`${n}${'x'.repeat(300)}`)),
    itemOf('y'.repeat(9_000)),
    itemOf('z'),
  ]
  await write(writingOf(4_096), items, producer)
  for (const { messages } of sent) {
    const bytes = messages.reduce((sum, { value, headers }) => sum + value.byteLength + JSON.stringify(headers).length, 0)
    t.ok(bytes <= 4_096 || messages.length === 1, `${messages.length} messages, ${bytes} bytes`)
  }
  t.equal(texts(sent.flatMap(({ messages }) => messages)), items.map(({ bytes }) => String(bytes)).join(' '), 'all, in order')
})

t.test('row 62: a message that is too large is a dead letter, and the others are sent', async t => {
  const { producer, sent } = producerOf(({ messages }) => {
    if (messages.some(({ value }) => value.byteLength > 100)) fails('too_large', messages)
  })
  const items = [...Array.from({ length: 7 }, (_, n) => itemOf(`m${n}`)), itemOf('x'.repeat(101)), itemOf('last')]
  const refused = await write(writingOf(), items, producer)
  t.strictSame([...refused.keys()], [7])
  t.match(refused.get(7), {
    code: 'PEN_TOO_LARGE',
    message: /has 101 bytes, more than topic logs takes; raise its max\.message\.bytes/,
  })
  const stored = sent
    .filter(({ messages }) => messages.every(({ value }) => value.byteLength <= 100))
    .flatMap(({ messages }) => messages)
  t.equal(texts(stored), 'm0 m1 m2 m3 m4 m5 m6 last')
})

t.test('what was stored beside a part that is too large is not sent again', async t => {
  const { producer, sent } = producerOf(({ messages }, send) => {
    if (send === 1) fails('too_large', messages.slice(2, 4), messages.slice(0, 2))
  })
  await write(
    writingOf(),
    ['a', 'b', 'c', 'd', 'e'].map(text => itemOf(text)),
    producer,
  )
  t.strictSame(
    sent.map(({ messages }) => texts(messages)),
    ['a b c d e', 'e', 'c', 'd'],
  )
})

t.test('the same items after a throw are the same batch, and go on where they were', async t => {
  const { producer, sent } = producerOf((_, send) => {
    if (send === 2 || send === 3) fails('unreachable')
  })
  const writing = writingOf(1_100)
  const items = ['a', 'b', 'c'].map(text => itemOf(text.repeat(500)))
  for (let tries = 0; tries < 2; tries++) await t.rejects(write(writing, items, producer), { code: 'PEN_KAFKA_UNREACHABLE' })
  await write(writing, items, producer)
  t.strictSame(
    sent.map(({ messages }) => texts(messages)[0]),
    ['a', 'b', 'b', 'b', 'c'],
  )
  t.equal(sent[1], sent[2], 'the batch itself, which says to the producer that it is the same')
  t.equal(sent[2], sent[3])
})

t.test('what was refused before a throw is refused again by the write that succeeds', async t => {
  const { producer } = producerOf(({ messages }, send) => {
    if (send === 1) fails('too_large', messages)
    if (send === 2) fails('unreachable')
  })
  const writing = writingOf(600)
  const items = [itemOf('a'), itemOf('b')]
  await t.rejects(write(writing, items, producer))
  t.strictSame([...(await write(writing, items, producer)).keys()], [0])
  t.strictSame([...(await write(writing, [itemOf('c')], producer)).keys()], [], 'and not by the next')
})

t.test('row 63: a batch whose numbers were not taken goes again at once', async t => {
  const { producer, sent } = producerOf((_, send) => {
    if (send <= 2) fails('sequence')
  })
  await write(writingOf(), [itemOf('a')], producer)
  t.equal(sent.length, 3)
  t.equal(sent[0], sent[2])
  const never = producerOf(() => fails('sequence'))
  await t.rejects(write(writingOf(), [itemOf('a')], never.producer), { code: 'PEN_KAFKA_SEQUENCE' }, 'and then the engine waits')
})

t.test('rows 62, 63: no failure but a message that is too long makes a dead letter', async t => {
  for (const failure of ['unreachable', 'authentication', 'authorization', 'unknown_topic', 'sequence', 'refused'] as const) {
    const { producer } = producerOf(() => fails(failure))
    const refused: number[] = []
    const writing = writingOf()
    await t.rejects(
      writing.write([itemOf('a')], index => refused.push(index), producer),
      { name: 'RetryableError' },
      failure,
    )
    t.strictSame(refused, [], failure)
  }
})

t.test('row 67: the id goes along in a header, and a newline in it does not', async t => {
  const { producer, sent } = producerOf()
  await write(writingOf(), [itemOf('a', { to: 'logs', headers: { own: '1' } }, 'id\r\nX: 1')], producer)
  t.strictSame(sent[0]?.messages[0]?.headers, { own: '1', 'event-id': 'id%0D%0AX: 1' })
  await write(writingOf(1_000, ''), [itemOf('a', { to: 'logs', headers: { own: '1' } })], producer)
  t.strictSame(sent[1]?.messages[0]?.headers, { own: '1' })
})

t.test('keys are fields or templates', async t => {
  const keyOf = (key: string, fields: JsonObject): string | undefined => addressesOf({ topic: 'logs', key })(fields).key
  t.equal(keyOf('user.id', { user: { id: 'ada' } }), 'ada')
  t.equal(keyOf('user.id', { user: { id: 7 } }), '7')
  t.equal(keyOf('user.id', { user: { id: ['ada'] } }), 'ada')
  t.equal(keyOf('user.id', { user: { id: ['ada', 'bob'] } }), '["ada","bob"]')
  t.equal(keyOf('user.id', {}), undefined)
  t.equal(keyOf('user.id', { user: { id: '' } }), undefined)
  t.equal(keyOf('%{tenant}/%{user.id:-none}', { tenant: 'a\0b' }), 'a\0b/none')
})

t.test('events with the same topic share an address, and those of other topics do not', async t => {
  const address = addressesOf({ topic: 'm365-%{d}', headers: { a: 'b' } })
  const one: Address = address({ d: 'x' })
  t.strictSame(one, { to: 'm365-x', headers: { a: 'b' } })
  t.equal(address({ d: 'x' }), one)
  t.strictSame(address({ d: 'y' }).to, 'm365-y')
})

t.test('a message is the event as JSON, without a newline', async t => {
  const { default: kafka } = await import('../../plugins/outputs/kafka/index.ts')
  const { completeOptions } = await import('../../core/config/creation.ts')
  const options = await completeOptions(kafka, { brokers: ['127.0.0.1:1'], topic: 'logs' }, '/')
  const output = kafka.create(options, { id: 'kafka', folder: '/', secretFile: () => undefined } as never)
  const writer = new ByteWriter()
  output.encode({ fields: { text: 'a\n\0b' } } as unknown as Event, writer)
  t.equal(String(writer.finish()), '{"text":"a\\n\\u0000b"}')
})
