// The transform in worker threads: bytes cross to them, never objects. A watchdog ends a worker that hangs; what it had is tried again.
import { Worker } from 'node:worker_threads'
import { buffers } from '../plugin/buffers.ts'
import { asError, PenstockError } from '../plugin/errors.ts'
import type { Clock, Log } from '../plugin/interfaces.ts'
import { isolate } from './isolate.ts'
import type { Job, TransformSpec } from './packed.ts'
import type { Tables } from './tables.ts'
import type { Transformed, Transformer } from './transformer.ts'
import type { FromWorker, ToWorker } from './worker.ts'

export interface PoolOptions {
  readonly workers: readonly Worker[]
  readonly spec: TransformSpec
  readonly tables: Tables
  /** A worker that answers nothing for so long while it has work is ended. Milliseconds. */
  readonly timeout: number
  readonly clock: Clock
  readonly log: Log
}

interface Running {
  readonly seq: number
  readonly job: Job
  readonly resolve: (transformed: Transformed) => void
  readonly reject: (error: Error) => void
  /** A copy of the job's bytes in shared memory, where they were not there. */
  readonly copy: Buffer | undefined
  /** How many more workers it may end. */
  lives: number
}

interface Thread {
  worker: Worker
  /** In the order in which the worker takes them: the first is at work. */
  readonly running: Map<number, Running>
  /** Ids of buffers that the worker may use again. */
  returned: number[]
  /** Looks of the watchdog since its last answer. */
  looks: number
  /** Why the watchdog ended it. */
  hung: Error | undefined
}

/** Two jobs a worker: one at work, one waiting, so that it never idles while the main thread is busy. */
const JOBS_PER_WORKER = 2
/** More memory for young objects than this gains a worker nothing. */
const YOUNG_MB = 24
/** The watchdog counts looks, not time: a process that was stopped for an hour has looked once meanwhile. */
const LOOKS = 4

/** Starts a worker that loads its modules and waits for the pipeline: there is other work to do meanwhile. */
export function bootWorker(): Worker {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  return new Worker(new URL(`./worker${extension}`, import.meta.url), { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB } })
}

/** Gives the workers the pipeline, and waits until each has built the transform. Whoever booted them ends them when it rejects. */
export async function workerPool({ workers, spec, tables, timeout, clock, log }: PoolOptions): Promise<Transformer> {
  let seq = 0
  let closing = false
  /** Successors of workers that ended, until they are ready. */
  const starting = new Set<Worker>()
  /** Why no job is taken any more: a worker could not be started again. */
  let broken: Error | undefined

  const attach = (thread: Thread) => {
    let cause: Error | undefined
    const { worker } = thread
    worker.on('message', (message: FromWorker) => {
      if (message.type !== 'done') return
      thread.looks = 0
      const running = thread.running.get(message.seq)
      if (!running) return
      thread.running.delete(message.seq)
      if (running.copy) buffers.recycle(running.copy)
      const { lent, packed } = message
      running.resolve({
        packed,
        recycle: output => {
          // What an ended worker lent is gone with it, and its successor counts from 0 again.
          if (thread.worker === worker) thread.returned.push(lent[packed.outputs.indexOf(output)] as number)
        },
      })
    })
    worker.on('error', error => {
      cause = asError(error)
    })
    worker.on('exit', code => {
      if (!closing)
        void replace(thread, thread.hung ?? cause ?? new PenstockError('PEN_WORKER', `a worker ended with code ${code}`))
    })
  }

  /** A new worker for the jobs of one that has ended. The job that was at work has a life less. */
  const replace = async (thread: Thread, cause: Error) => {
    log.error({ error: cause.message, chunks: thread.running.size }, 'a worker ended; its chunks are tried again in a new one')
    const [suspect] = thread.running.values()
    if (suspect && --suspect.lives === 0) {
      thread.running.delete(suspect.seq)
      suspect.reject(cause)
    }
    try {
      const worker = bootWorker()
      // Were it left out, a worker that starts while the pipeline ends would keep the process alive.
      starting.add(worker)
      await started(worker, spec, tables).finally(() => starting.delete(worker))
      if (closing) {
        await worker.terminate()
        return
      }
      Object.assign(thread, { worker, returned: [], looks: 0, hung: undefined } satisfies Partial<Thread>)
      attach(thread)
      for (const running of thread.running.values()) send(thread, running)
    } catch (error) {
      broken = asError(error)
      for (const running of thread.running.values()) running.reject(broken)
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

  /** Rejects once the job has ended `lives` workers. */
  const attempt = (job: Job, lives: number) =>
    new Promise<Transformed>((resolve, reject) => {
      if (broken) throw broken
      const thread = threads.reduce((least, one) => (one.running.size < least.running.size ? one : least))
      if (thread.running.size === 0) thread.looks = 0
      const running: Running = { seq: seq++, job, resolve, reject, copy: inSharedMemory(job.bytes), lives }
      thread.running.set(running.seq, running)
      send(thread, running)
    })

  await Promise.all(workers.map(worker => started(worker, spec, tables)))
  const threads = workers.map((worker): Thread => ({ worker, running: new Map(), returned: [], looks: 0, hung: undefined }))
  threads.forEach(attach)

  let stopWatchdog = () => {}
  const watch = () => {
    for (const thread of threads) {
      if (thread.running.size === 0 || thread.hung || ++thread.looks <= LOOKS) continue
      thread.hung = new PenstockError('PEN_WORKER_HANGS', `a worker gave no answer for ${timeout} ms (worker_timeout_ms)`)
      void thread.worker.terminate()
    }
    stopWatchdog = clock.after(timeout / LOOKS, watch)
  }
  watch()

  return {
    concurrency: workers.length * JOBS_PER_WORKER,
    run: job => attempt(job, 2).catch(error => (broken ? Promise.reject(error) : isolate(job, asError(error), attempt, log))),
    swap(key, image) {
      for (const { worker } of threads) worker.postMessage({ type: 'table', key, image } satisfies ToWorker)
    },
    async close() {
      closing = true
      stopWatchdog()
      await Promise.all([...threads.map(({ worker }) => worker), ...starting].map(worker => worker.terminate()))
    },
  }
}

/** Resolves when the worker has built the transform. Images that change meanwhile are in `tables` by then. */
function started(worker: Worker, spec: TransformSpec, tables: Tables): Promise<void> {
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

function inSharedMemory(bytes: Uint8Array): Buffer | undefined {
  if (bytes.buffer instanceof SharedArrayBuffer) return undefined
  const copy = buffers.take(bytes.length)
  buffers.copy(bytes, copy)
  return copy
}
