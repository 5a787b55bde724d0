// The parts by themselves, so that a slow-down has an address. Prints one JSON line: name → [unit, lower quartile, median, upper quartile].
//   node --expose-gc micro.ts FOLDER
// It runs in another revision's files too: it asks for nothing but what plugins see, acks and the store.
import { join } from 'node:path'
import { Ack, Checkpoint } from '../../core/flow/ack.ts'
import { ChunkEvent } from '../../core/flow/event.ts'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import type { Event, Site } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { openStore } from '../../core/state/store.ts'
import ndjson from '../../plugins/codecs/ndjson.ts'
import dedupe from '../../plugins/filters/dedupe/index.ts'
import ecs from '../../plugins/filters/ecs/index.ts'
import fileOutput from '../../plugins/outputs/file/index.ts'
import { recordLines } from './records.ts'

const RECORDS = 5_000
const ROUNDS = 21
const PIECE_BYTES = 128 * 1024
const CHUNKS = 50_000
const COMMITS = 200
const GROUPED = 2_000

const [, , folder = '.'] = process.argv
const site = { id: 'micro', folder } as Site

interface Creatable {
  readonly options: Readonly<Record<string, object>>
  create(options: never, site: Site): unknown
}
function create<T>(plugin: Creatable, options: JsonObject = {}): T {
  const defaults = Object.entries(plugin.options).flatMap(([name, option]) =>
    'default' in option ? [[name, option.default]] : [],
  )
  return plugin.create({ ...Object.fromEntries(defaults), ...options } as never, site) as T
}

const results: Record<string, [unit: string, lower: number, median: number, upper: number]> = {}

/**
 * Times `work` in rounds, each after `prepare`, without those in which the code was still being compiled: in ns the CPU time of this
 * thread, which a busy machine does not change; in us the time on the wall, where a disk is waited for.
 */
async function time(name: string, unit: 'ns' | 'us', per: number, work: (round: number) => unknown, prepare?: () => void) {
  const figures: number[] = []
  for (let round = -5; round < ROUNDS; round++) {
    prepare?.()
    globalThis.gc?.()
    const wall = performance.now()
    const cpu = process.threadCpuUsage()
    const under = work(round)
    if (under instanceof Promise) await under
    const { user, system } = process.threadCpuUsage(cpu)
    const took = unit === 'ns' ? (user + system) * 1_000 : (performance.now() - wall) * 1_000
    if (round >= 0) figures.push(took / per)
  }
  figures.sort((a, b) => a - b)
  const [lower = 0, median = 0, upper = 0] = [ROUNDS >> 2, ROUNDS >> 1, ROUNDS - 1 - (ROUNDS >> 2)].map(index => figures[index])
  results[name] = [unit, lower, median, upper]
}

const blocks: Buffer[] = []
for await (const block of recordLines(RECORDS)) blocks.push(block)
const stream = Buffer.concat(blocks)
const ends: number[] = []
for (let end = stream.indexOf(10); end >= 0; end = stream.indexOf(10, end + 1)) ends.push(end)
const startOf = (index: number) => (index === 0 ? 0 : (ends[index - 1] as number) + 1)

type Ndjson = ReturnType<typeof ndjson.create>
const codec = create<Ndjson>(ndjson)
await time('frame', 'ns', RECORDS, () => {
  const framer = codec.framer({})
  for (let at = 0; at < stream.length; at += PIECE_BYTES) for (const _ of framer.push(stream.subarray(at, at + PIECE_BYTES)));
  for (const _ of framer.end());
})

let decoded: JsonObject[] = []
const decode = () => {
  decoded = ends.map((end, index) => codec.decode(stream.subarray(startOf(index), end), {}) as JsonObject)
}
await time('decode', 'ns', RECORDS, decode)

const apply = create<ReturnType<typeof ecs.create>>(ecs).apply as (event: Event) => Event
let events: ChunkEvent[] = []
const wrap = () => {
  decode()
  events = decoded.map((fields, index) => new ChunkEvent(fields, {}, stream, startOf(index), ends[index] as number))
}
let mapped: Event[] = []
await time(
  'ecs',
  'ns',
  RECORDS,
  () => {
    mapped = events.map(apply)
  },
  wrap,
)

const output = create<ReturnType<typeof fileOutput.create>>(fileOutput, { path: join(folder, 'micro.ndjson') })
await time('encode', 'ns', RECORDS, () => {
  const writer = new ByteWriter()
  for (const event of mapped) output.encode(event, writer)
  writer.finish()
})

const { gate } = create<ReturnType<typeof dedupe.create>>(dedupe)
await time('dedupe key', 'ns', RECORDS, () => {
  for (const event of mapped) gate?.key(event)
})

await time('ack', 'ns', CHUNKS, () => {
  // As the engine does it: a hold of the fan-out and one of each of two outputs, and the settled prefix of 16 chunks under way.
  const checkpoint = new Checkpoint<{
    input: number
    partition: string
    position: number
    last: boolean
    settled: boolean
    ack: Ack
  }>()
  const under: Ack[] = []
  for (let position = 0; position < CHUNKS; position++) {
    const ack: Ack = new Ack(() => checkpoint.settle(tracked))
    const tracked = { input: 0, partition: 'p', position, last: false, settled: false, ack }
    checkpoint.add(tracked)
    for (let holds = 0; holds < 3; holds++) ack.hold()
    under.push(ack)
    if (under.length < 16) continue
    const done = under.splice(position % 2, 1)[0] as Ack
    for (let holds = 0; holds < 3; holds++) done.release()
  }
})

const store = await openStore(join(folder, 'micro-state'))
const position = (n: number) => ({ positions: [['micro', 'in', '', { offset: n }] as const], rows: [] })
await time('commit, one after the other', 'us', COMMITS, async round => {
  for (let n = 0; n < COMMITS; n++) await store.commit(position(round * COMMITS + n))
})
await time('commit, many at once', 'us', GROUPED, round =>
  Promise.all(Array.from({ length: GROUPED }, (_, n) => store.commit(position(round * GROUPED + n)))),
)
await store.close()

console.log(JSON.stringify(results))
