// Reads the standard input of the process.
import process from 'node:process'
import type { Readable } from 'node:stream'
import { defineInput } from '../../core/plugin/define.ts'
import { errorCode } from '../../core/plugin/errors.ts'
import type { Context } from '../../core/plugin/interfaces.ts'

/** What a pipe says whose other end is gone. */
const END_CODES = new Set(['EOF', 'EPIPE'])

export default defineInput({
  summary: 'Reads the standard input until it ends',
  description:
    'A standard input cannot be read twice, so there is no position to go on from: what was read and not yet delivered when the ' +
    'process is killed is lost, and a stop waits for what was read to be delivered. Where every event counts, write to a file and ' +
    'read that.',
  options: {},
  examples: [{}],
  create() {
    let context: Context | undefined
    return {
      open(given) {
        context = given
      },
      async *read(_positions, signal) {
        if (!context) throw new Error('read() came before open()')
        const { codec, maxEventBytes, log } = context
        const framer = codec.framer({ path: '-' }, { maxEventBytes })
        let read = 0
        try {
          for await (const bytes of pieces(process.stdin, signal)) {
            read += bytes.length
            yield* framer.push(bytes)
          }
        } catch (error) {
          const code = errorCode(error as Error)
          if (!END_CODES.has(code)) throw error
          log.warn({ code }, 'the standard input was cut off by its writer')
        }
        if (!signal.aborted) yield* framer.end()
        else if (read > framer.consumed)
          log.warn({ bytes: read - framer.consumed }, 'stopped inside a record: its first bytes were read, and are lost')
      },
    }
  },
})

/**
 * What a stream gives, until it ends or `signal` aborts. The stream itself stays usable: a pipeline that is loaded anew goes on with it.
 * Its own iterator would close it, and could not be left while it waits.
 */
async function* pieces(stream: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let wake = () => {}
  let ended = stream.readableEnded || stream.destroyed
  let failure: Error | undefined
  const onReadable = () => wake()
  const onEnd = () => {
    ended = true
    wake()
  }
  const onError = (error: Error) => {
    failure = error
    wake()
  }
  stream.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError)
  signal.addEventListener('abort', onReadable)
  try {
    while (!signal.aborted) {
      const bytes: Uint8Array | null = stream.read()
      if (bytes) yield bytes
      else if (failure) throw failure
      else if (ended) return
      else {
        await new Promise<void>(resolve => {
          wake = resolve
        })
      }
    }
  } finally {
    stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError)
    signal.removeEventListener('abort', onReadable)
    // An idle pipe that is still being read would keep the process alive.
    stream.pause()
  }
}
