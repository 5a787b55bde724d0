// Runs the transform: on the main thread, or in worker threads. Bytes cross to workers, never objects.
import { Worker } from 'node:worker_threads'
import { buffers } from '../plugin/buffers.ts'
import { asError, PenstockError } from '../plugin/errors.ts'
import type { Log } from '../plugin/interfaces.ts'
import type { Job, Packed, PackedOutput, TransformSpec } from './packed.ts'
import type { Tables } from './tables.ts'
import type { Transform } from './transform.ts'
import type { FromWorker, ToWorker } from './worker.ts'

export interface Transformed {
  readonly packed: Packed
  /** To be called once nothing looks into the output's bytes any more. */
  recycle(output: PackedOutput): void
}

export interface Transformer {
  /** How many jobs are worth running at once. */
  readonly concurrency: number
  run(job: Job): Transformed | Promise<Transformed>
  /** A table has a new image. */
  swap(key: string, image: SharedArrayBuffer | undefined): void
  close(): Promise<void>
}

export function inlineTransformer(transform: Transform): Transformer {
  const recycle = (output: PackedOutput) => buffers.recycle(output.bytes)
  return {
    concurrency: 1,
    run: job => ({ packed: transform(job), recycle }),
    swap() {}, // the main thread's own tables are swapped already
    async close() {},
  }
}

interface Running {
  readonly seq: number
  readonly job: Job
  readonly resolve: (transformed: Transformed) => void
  readonly reject: (error: Error) => void
  /** A copy of the job's bytes in shared memory, where they were not there. */
  readonly copy: Buffer | undefined
  deaths: number
}

interface Thread {
  worker: Worker
  readonly running: Map<number, Running>
  /** Ids of buffers that the worker may use again. */
  returned: number[]
}

/** Two jobs a worker: one at work, one waiting, so that it never idles while the main thread is busy. */
const JOBS_PER_WORKER = 2
/** More memory for young objects than this gains a worker nothing. */
const YOUNG_MB = 24
/** A job whose worker died is tried once more; a second death is its own fault. */
const MOST_DEATHS = 2

/** Starts a worker that loads its modules and waits for the pipeline: there is other work to do meanwhile. */
export function bootWorker(): Worker {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  return new Worker(new URL(`./worker${extension}`, import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } })
}

/** Gives the workers the pipeline, and waits until each has built the transform. Whoever booted them ends them when it rejects. */
export async function workerTransformer(
  workers: readonly Worker[],
  spec: TransformSpec,
  tables: Tables,
  log: Log,
): Promise<Transformer> {
  const threads: Thread[] = []
  let seq = 0
  let closing = false
  /** Images that changed while a worker was being started again are in `tables` by then. */
  const start = (worker: Worker): Promise<void> => {
    worker.postMessage({ type: 'start', spec, images: tables.images() } satisfies ToWorker)
    return new Promise((resolve, reject) => {
      worker.once('message', (message: FromWorker) => {
        if (message.type === 'failed') reject(new PenstockError(message.code, message.error))
        else resolve()
      })
      worker.once('error', reject)
      worker.once('exit', code => reject(new PenstockError('PEN_WORKER', `a worker ended with code ${code} before it was ready`)))
    })
  }

  const attach = (thread: Thread) => {
    let cause: Error | undefined
    thread.worker.on('message', (message: FromWorker) => {
      if (message.type !== 'done') return
      const running = thread.running.get(message.seq)
      if (!running) return
      thread.running.delete(message.seq)
      if (running.copy) buffers.recycle(running.copy)
      const { lent } = message
      const of = thread
      running.resolve({
        packed: message.packed,
        recycle: output => of.returned.push(lent[message.packed.outputs.indexOf(output)] as number),
      })
    })
    thread.worker.on('error', error => {
      cause = asError(error)
    })
    thread.worker.on('exit', code => {
      if (!closing) void replace(thread, cause ?? new PenstockError('PEN_WORKER', `a worker ended with code ${code}`))
    })
  }

  const replace = async (thread: Thread, cause: Error) => {
    log.error({ error: cause.message, jobs: thread.running.size }, 'a worker died; its chunks are tried again in a new one')
    for (const running of thread.running.values()) {
      if (++running.deaths < MOST_DEATHS) continue
      thread.running.delete(running.seq)
      running.reject(
        new PenstockError('PEN_WORKER', `a chunk ended its worker ${MOST_DEATHS} times: ${cause.message}`, { cause }),
      )
    }
    try {
      const worker = bootWorker()
      await start(worker)
      thread.worker = worker
      // Buffers of the dead worker died with it.
      thread.returned = []
      attach(thread)
      for (const running of thread.running.values()) send(thread, running)
    } catch (error) {
      for (const running of thread.running.values()) running.reject(asError(error))
      thread.running.clear()
    }
  }

  const send = (thread: Thread, { seq, job, copy }: Running) => {
    const { returned } = thread
    thread.returned = []
    const { bytes, ends, starts, count } = job
    // A view would be posted with all the memory behind it.
    const posted = { ...job, bytes: copy ?? bytes, ends: ends.slice(0, count), ...(starts && { starts: starts.slice(0, count) }) }
    thread.worker.postMessage({ type: 'job', seq, job: posted, returned } satisfies ToWorker)
  }

  await Promise.all(workers.map(start))
  for (const worker of workers) {
    const thread: Thread = { worker, running: new Map(), returned: [] }
    threads.push(thread)
    attach(thread)
  }

  return {
    concurrency: workers.length * JOBS_PER_WORKER,
    run: job =>
      new Promise((resolve, reject) => {
        const thread = threads.reduce((least, one) => (one.running.size < least.running.size ? one : least))
        const running: Running = { seq: seq++, job, resolve, reject, copy: inSharedMemory(job.bytes), deaths: 0 }
        thread.running.set(running.seq, running)
        send(thread, running)
      }),
    swap(key, image) {
      for (const { worker } of threads) worker.postMessage({ type: 'table', key, image } satisfies ToWorker)
    },
    async close() {
      closing = true
      await Promise.all(threads.map(({ worker }) => worker.terminate()))
    },
  }
}

function inSharedMemory(bytes: Uint8Array): Buffer | undefined {
  if (bytes.buffer instanceof SharedArrayBuffer) return undefined
  const copy = buffers.take(bytes.length)
  copy.set(bytes)
  return copy
}
