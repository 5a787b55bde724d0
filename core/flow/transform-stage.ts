// The ordered parallel transform as a stream: chunks go in, their results come out in the same order.
import { Transform as TransformStream } from 'node:stream'
import { asError } from '../plugin/errors.ts'
import type { TrackedChunk } from './tracked-chunk.ts'
import type { Transformed, Transformer } from './transformer.ts'

export interface StageResult {
  readonly tracked: TrackedChunk
  readonly transformed: Transformed
}

interface Slot {
  readonly tracked: TrackedChunk
  transformed: Transformed | undefined
}

export function transformStage(transformer: Transformer): TransformStream {
  const slots: Slot[] = []
  /** Takes the next chunk, or ends the stream, as soon as there is room, or nothing left. */
  let waiting: { room: number; go: () => void } | undefined

  const emit = (stream: TransformStream) => {
    while (slots[0]?.transformed) {
      const { tracked, transformed } = slots.shift() as Slot & { transformed: Transformed }
      stream.push({ tracked, transformed } satisfies StageResult)
    }
    if (!waiting || slots.length > waiting.room) return
    const { go } = waiting
    waiting = undefined
    go()
  }

  return new TransformStream({
    objectMode: true,
    highWaterMark: 1,
    transform(tracked: TrackedChunk, _encoding, done) {
      let result: ReturnType<Transformer['run']>
      try {
        result = transformer.run(tracked.job)
      } catch (error) {
        done(asError(error))
        return
      }
      if (!(result instanceof Promise)) {
        done(null, { tracked, transformed: result } satisfies StageResult)
        return
      }
      const slot: Slot = { tracked, transformed: undefined }
      slots.push(slot)
      result.then(
        transformed => {
          slot.transformed = transformed
          emit(this)
        },
        error => this.destroy(asError(error)),
      )
      if (slots.length < transformer.concurrency) done()
      else waiting = { room: transformer.concurrency - 1, go: done }
    },
    flush(done) {
      if (slots.length === 0) done()
      else waiting = { room: 0, go: done }
    },
  })
}
