// What stands between kafkajs and the plugins, without a broker: passwords and tokens that change, compressions, and what is mended.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import t from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import { systemClock } from '../../core/observe/clock.ts'
import type { Site } from '../../core/plugin/interfaces.ts'
import { openKafka } from '../../plugins/lib/kafka/kafkajs/client.ts'
import { installCodecs } from '../../plugins/lib/kafka/kafkajs/codecs.ts'
import { mendKafkajs } from '../../plugins/lib/kafka/kafkajs/mend.ts'
import { type ConnectionOptions, connectionOf } from '../../plugins/lib/kafka/options.ts'
import { openTokens } from '../../plugins/lib/kafka/tokens.ts'
import kafkaOutput from '../../plugins/outputs/kafka/index.ts'
import { quietLog } from '../kit/in-process.ts'
import { until } from '../kit/until.ts'

const site = { id: 'kafka', folder: '/', secretFile: () => undefined } as unknown as Site
const metrics = { count() {}, gauge() {} }

async function settingsOf(options: object) {
  const complete = await completeOptions(kafkaOutput, { brokers: ['127.0.0.1:1'], topic: 'logs', ...options }, '/')
  return connectionOf(complete as unknown as ConnectionOptions, site)
}

t.test('each compression gives back what it was given', async t => {
  await installCodecs(kafkajs)
  const text = Buffer.from('records '.repeat(10_000))
  for (const type of [1, 2, 3, 4] as const) {
    const codec = kafkajs.CompressionCodecs[type]()
    const packed = (await codec.compress({ buffer: text })) as Buffer
    t.ok(packed.length < text.length / 5)
    t.equal(String(await codec.decompress(packed)), String(text))
  }
})

t.test('a batch that unpacks to more than any broker takes is not unpacked', async t => {
  await installCodecs(kafkajs)
  const bomb = zstdCompressSync(Buffer.alloc(257 * 1024 * 1024))
  await t.rejects(kafkajs.CompressionCodecs[4]().decompress(bomb), { code: 'ERR_BUFFER_TOO_LARGE' })
})

t.test('a token is read for each connection, and a file without one is a refusal that is waited for', async t => {
  const file = join(t.testdir({}), 'token')
  const settings = await settingsOf({ sasl: { mechanism: 'oauthbearer', token_file: file } })
  const tokens = await openTokens(settings.sasl as never, systemClock)
  await t.rejects(tokens.get(), { code: 'PEN_KAFKA_AUTHENTICATION', message: /cannot be read/ })
  for (const token of ['one', 'two']) {
    writeFileSync(file, `${token}\n`)
    t.equal(await tokens.get(), token)
  }
})

t.test('tokens for Event Hubs are asked for in the name of the first broker', async t => {
  const entra = { tenant_id: 't', client_id: 'c', client_secret: 'made-up-word' }
  const sasl = { mechanism: 'oauthbearer', entra }
  const { sasl: found } = await settingsOf({ brokers: ['contoso.servicebus.windows.net:9093'], tls: {}, sasl })
  t.match(found, {
    entra: { audience: 'https://contoso.servicebus.windows.net', authority: 'https://login.microsoftonline.com' },
  })
  const own = { ...sasl, entra: { ...entra, audience: 'https://hub.example/.default' } }
  const { sasl: other } = await settingsOf({ brokers: ['contoso.servicebus.windows.net:9093'], tls: {}, sasl: own })
  t.match(other, { entra: { audience: 'https://hub.example' } })
})

t.test('kafkajs sets no timers for requests that do not wait', async t => {
  mendKafkajs()
  const { createRequire } = await import('node:module')
  const Queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as new (
    options: object,
  ) => {
    scheduleCheckPendingRequests(): void
    readonly throttleCheckTimeoutId: unknown
    pending: unknown[]
    destroy(): void
  }
  const queue = new Queue({ requestTimeout: 1_000, logger: {} })
  queue.scheduleCheckPendingRequests()
  t.equal(queue.throttleCheckTimeoutId, null)
  queue.pending = [{}]
  queue.scheduleCheckPendingRequests()
  t.ok(queue.throttleCheckTimeoutId, 'and one where one waits')
  queue.destroy()
})

t.test('a client that is closed while brokers are away stops trying', async t => {
  let tries = 0
  const log = {
    ...quietLog,
    debug(_: object, message: string) {
      if (message.includes('ECONNREFUSED')) tries++
    },
  }
  // Nobody listens there.
  const client = await openKafka(await settingsOf({ brokers: ['127.0.0.1:1'] }), { clock: systemClock, log, metrics })
  const producer = client.producer({ idempotent: true, compression: 'none', createTopics: false, reset() {} })
  const sent = producer.send({ messages: [{ topic: 'logs', key: undefined, value: Buffer.from('a'), headers: {} }] })
  sent.catch(() => {})
  await until(() => tries > 0)
  await client.close()
  const before = tries
  await t.rejects(sent, { name: 'KafkaError' })
  t.ok(tries - before <= 2, `it tried ${tries - before} times after that`)
})
