// The bare loop that the engine is measured against: read, split, JSON.parse, the ecs filter's own mapping, JSON.stringify, write.
//   node bare.ts IN OUT WORKERS
// With workers: whole lines in shared memory go to two threads and come back in order, as the engine does it, and nothing else.
import { type FileHandle, open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { ChunkEvent } from '../../core/flow/event.ts'
import { CHUNK_BYTES } from '../../core/plugin/buffers.ts'
import type { Filter, Site } from '../../core/plugin/interfaces.ts'
import ecs from '../../plugins/filters/ecs/index.ts'

const site = { id: 'ecs', folder: '/' } as Site
const options = Object.fromEntries(
  Object.entries(ecs.options).flatMap(([name, { default: value }]) => (value === undefined ? [] : [[name, value]])),
)
const { apply } = ecs.create(options, site) as Required<Filter>
const LARGEST = 4 * CHUNK_BYTES

/** Whole lines of `input` to documents in `out`; gives the bytes written. */
function map(input: Buffer, end: number, out: Buffer): number {
  let used = 0
  let from = 0
  for (let newline = input.indexOf(10, from); newline >= 0 && newline < end; newline = input.indexOf(10, from)) {
    const event = new ChunkEvent(JSON.parse(input.utf8Slice(from, newline)), {}, input, from, newline)
    const text = JSON.stringify((apply(event) as ChunkEvent).fields)
    used += out.utf8Write(text, used)
    out[used++] = 10
    from = newline + 1
  }
  return used
}

interface Block {
  readonly id: number
  readonly memory: SharedArrayBuffer
  readonly bytes: Buffer
}
let ids = 0
const idle: Block[] = []
const take = (): Block => {
  const recycled = idle.pop()
  if (recycled) return recycled
  const memory = new SharedArrayBuffer(LARGEST)
  return { id: ids++, memory, bytes: Buffer.from(memory) }
}

/** Reads chunks of whole lines. */
async function* chunks(file: FileHandle): AsyncGenerator<{ block: Block; end: number }> {
  let carry = Buffer.alloc(0)
  for (;;) {
    const block = take()
    carry.copy(block.bytes)
    const { bytesRead } = await file.read(block.bytes, carry.length, CHUNK_BYTES, null)
    if (bytesRead === 0) return
    const filled = carry.length + bytesRead
    const end = block.bytes.lastIndexOf(10, filled - 1) + 1
    carry = Buffer.from(block.bytes.subarray(end, filled))
    yield { block, end }
  }
}

if (!isMainThread) {
  const views = new Map<number, Buffer>()
  const view = ({ id, memory }: Block) => {
    const known = views.get(id) ?? Buffer.from(memory)
    views.set(id, known)
    return known
  }
  parentPort?.on('message', ({ seq, block, out, end }) =>
    parentPort?.postMessage({ seq, used: map(view(block), end, view(out)) }),
  )
} else {
  const [, , inPath = '', outPath = '', workerCount = '0'] = process.argv
  const count = Number(workerCount)
  const input = await open(inPath)
  const output = await open(outPath, 'w')
  const write = async (out: Block, used: number) => {
    await output.write(out.bytes, 0, used)
    idle.push(out)
  }
  if (count === 0) {
    for await (const { block, end } of chunks(input)) {
      const out = take()
      const used = map(block.bytes, end, out.bytes)
      idle.push(block)
      await write(out, used)
    }
  } else {
    const threads = Array.from({ length: count }, () => ({ worker: new Worker(fileURLToPath(import.meta.url)), jobs: 0 }))
    const waiting = new Map<number, (used: number) => void>()
    for (const thread of threads) {
      thread.worker.on('message', ({ seq, used }) => {
        thread.jobs--
        waiting.get(seq)?.(used)
        waiting.delete(seq)
      })
    }
    const plain = ({ id, memory }: Block) => ({ id, memory })
    const queue: { block: Block; out: Block; used: Promise<number> }[] = []
    const finish = async ({ block, out, used }: (typeof queue)[number]) => {
      await write(out, await used)
      idle.push(block)
    }
    let seq = 0
    for await (const { block, end } of chunks(input)) {
      const out = take()
      const thread = threads.reduce((least, one) => (one.jobs < least.jobs ? one : least))
      thread.jobs++
      const used = new Promise<number>(resolve => waiting.set(seq, resolve))
      thread.worker.postMessage({ seq: seq++, block: plain(block), out: plain(out), end })
      queue.push({ block, out, used })
      while (queue.length > count * 2) await finish(queue.shift() as (typeof queue)[number])
    }
    for (const job of queue) await finish(job)
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }
  await output.datasync()
  await output.close()
  await input.close()
}
