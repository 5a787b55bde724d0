// What runs the transform: the main thread itself, or worker threads (worker-pool.ts).
import { buffers } from '../plugin/buffers.ts'
import type { Job, Packed, PackedOutput } from './packed.ts'
import type { Transform } from './transform.ts'

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
