// file → ecs → one output: what each costs beside one that throws its events away. The difference is the output and its client.
import { rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import type { JsonObject } from '../../core/plugin/json.ts'
import { kafkaMissing, killKafka, startKafka } from '../services/kafka/server.ts'
import type { Bench } from './bench.ts'
import { penstock } from './engines.ts'
import { measure } from './measure.ts'
import { writeRecords } from './records.ts'

const QUIET = ['--no-progress', '--no-summary', '--log-level', 'error']
const TOPIC = 'bench'
const NEWLINE = 10

/** Reads bulk requests, and says of each of their documents that it was created. */
async function sink(): Promise<{ readonly url: string; close(): void }> {
  const answers = new Map<number, string>()
  const answer = (count: number) => {
    const known = answers.get(count) ?? `{"items":[${Array.from({ length: count }, () => '{"create":{"status":201}}').join()}]}`
    answers.set(count, known)
    return known
  }
  const server = createServer((request, response) => {
    let lines = 0
    request.on('data', (part: Buffer) => {
      for (let at = part.indexOf(NEWLINE); at >= 0; at = part.indexOf(NEWLINE, at + 1)) lines++
    })
    request.on('end', () => {
      response.setHeader('x-elastic-product', 'Elasticsearch').setHeader('content-type', 'application/json')
      // A look-up finds nothing.
      response.end(request.url?.startsWith('/_bulk') ? answer(lines / 2) : '{}')
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

async function broker(folder: string): Promise<{ readonly address: string; close(): Promise<unknown> } | undefined> {
  if (kafkaMissing() !== undefined) return undefined
  const dir = join(folder, 'kafka')
  const { plain } = await startKafka({ dir })
  const admin = new Kafka({ brokers: [plain], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1 }] })
  await admin.disconnect()
  return { address: plain, close: () => killKafka(dir) }
}

export async function outputCosts(bench: Bench): Promise<void> {
  const { board, engines, rounds, folder, records } = bench
  const input = join(folder, 'outputs.ndjson')
  await writeRecords(records, input)
  const { size } = await stat(input)
  const elasticsearch = await sink()
  const kafka = await broker(folder)
  if (!kafka) board.note(`kafka is left out: ${kafkaMissing()}`)
  const outputs: readonly (readonly [name: string, output: JsonObject])[] = [
    ['discard', { type: 'discard' }],
    ['file', { type: 'file', path: join(folder, 'out.ndjson') }],
    ['elasticsearch, a sink that only reads', { type: 'elasticsearch', hosts: [elasticsearch.url] }],
    ['the same with gzip', { type: 'elasticsearch', hosts: [elasticsearch.url], compression: 'gzip' }],
    ...(kafka
      ? ([
          ['kafka, a real broker', { type: 'kafka', brokers: [kafka.address], topic: TOPIC, compression: 'none' }],
          ['the same with zstd', { type: 'kafka', brokers: [kafka.address], topic: TOPIC, compression: 'zstd' }],
        ] as const)
      : []),
  ]
  board.note(
    `outputs: ${records.toLocaleString('en-US')} records of ${(size / records / 1_000).toFixed(2)} kB, inline; a share is of the CPU time`,
  )
  try {
    for (let round = -1; round < rounds; round++) {
      for (const engine of engines) {
        let least = 0
        let name = ''
        for (const [own, output] of outputs) {
          name = own.startsWith('the same') ? `${name.split(',')[0]} ${own.slice('the same '.length)}` : own
          const pipeline = join(folder, 'outputs.yaml')
          const inputs = [{ type: 'file', paths: [input] }]
          await writeFile(pipeline, JSON.stringify({ name: 'outputs', inputs, filters: [{ type: 'ecs' }], outputs: [output] }))
          const state = join(folder, 'state-outputs')
          const command = penstock(engine, 'run', pipeline, '--state-dir', state, ...QUIET)
          const { cpuMs, wallMs, rssMb } = await measure(command.args, { folder, env: command.env })
          await rm(state, { recursive: true })
          await rm(join(folder, 'out.ndjson'), { force: true })
          if (own === 'discard') least = cpuMs
          if (round < 0) continue
          board.add(`to ${name}`, 'events/s', engine.name, (records / wallMs) * 1_000)
          board.add(`to ${name}`, 'events/CPU-second', engine.name, (records / cpuMs) * 1_000)
          board.add(`to ${name}: peak RSS`, 'MB', engine.name, rssMb)
          if (own !== 'discard') board.add(`to ${name}: share of the output`, '%', engine.name, (1 - least / cpuMs) * 100)
        }
      }
    }
  } finally {
    elasticsearch.close()
    await kafka?.close()
  }
}
