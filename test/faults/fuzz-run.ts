// Fuzzes targets in a thread of their own, and tells what came of each: how many inputs, and the first that broke a promise.
import { on } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Order, Report } from './fuzz-worker.ts'

/** An input of a few kilobytes that takes longer hangs. Milliseconds, generous: machines are busy. */
const HANGS_MS = 60_000
const INPUT_BYTES = 1 << 20

export type { Report }

/** Gives a report a target. A thread that hangs or dies is the last one's failure. */
export async function* fuzz(order: Omit<Order, 'shared' | 'ms'> & { readonly ms?: number }): AsyncGenerator<Report> {
  const shared = new SharedArrayBuffer(8 + INPUT_BYTES)
  const counts = new Int32Array(shared, 0, 2)
  const workerData: Order = { ms: Number.POSITIVE_INFINITY, ...order, shared }
  const worker = new Worker(new URL('./fuzz-worker.ts', import.meta.url), { workerData })
  const abort = new AbortController()
  let ending = `the thread ended before it had reported`
  worker.on('error', (error: Error) => {
    ending = error.stack ?? error.message
  })
  worker.on('exit', () => abort.abort())
  let last = -1
  let since = 0
  const watch = setInterval(() => {
    const count = Atomics.load(counts, 0)
    if (count !== last) {
      last = count
      since = performance.now()
    } else if (performance.now() - since > HANGS_MS) {
      ending = `it hangs: this input takes over ${HANGS_MS} ms`
      abort.abort()
    }
  }, 500)
  const left = order.targets.map(([name]) => name)
  try {
    for await (const [report] of on(worker, 'message', { signal: abort.signal })) {
      left.shift()
      yield report as Report
      if (left.length === 0) return
    }
  } catch (error) {
    if (!abort.signal.aborted) throw error
    const input = Uint8Array.from(new Uint8Array(shared, 8, counts[1]))
    yield { target: left[0] as string, executions: 0, failure: { input, error: ending } }
  } finally {
    clearInterval(watch)
    await worker.terminate()
  }
}

/** A report in words, with the input as text that can be pasted into a test. */
export function failureText({ target, failure }: Report, seed: number): string {
  if (!failure) return ''
  const { file, input, damaged, error } = failure
  const from = file === undefined ? `an input of ${input.length} bytes (seed ${seed})` : `the corpus file ${file}`
  const shown = (bytes: Uint8Array) => {
    const [part, more] = [Buffer.from(bytes.subarray(0, 1500)), bytes.length > 1500 ? '…' : '']
    return `${JSON.stringify(part.toString('latin1', 0, 500))}\nin base64: ${part.toString('base64')}${more}`
  }
  const made = damaged ? `\nit made: ${shown(damaged)}` : ''
  return `${target} breaks its promises on ${from}: ${error.slice(0, 1500)}\nit is: ${shown(input)}${made}`
}
