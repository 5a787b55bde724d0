// A disk queue as the main thread sees it: messages to the queue's own thread, whose fsyncs hold up neither the loop nor positions.
import type { Log } from '../plugin/interfaces.ts'
import type { QueueData, QueueOperations } from './protocol.ts'
import { bootThread, startThread } from './thread.ts'
import type { NewSlice, QueueFile } from './types.ts'

/** Opens the file, and creates it where there is none; see Store.openQueue. */
export async function openQueue(data: QueueData, now: () => number, log: Log | undefined): Promise<QueueFile> {
  const { call, close } = await startThread<QueueOperations>(data, data.path, log, bootThread('queue'))
  try {
    const start = await call('start', {})
    return {
      start,
      // Pieces in shared memory cross as they are: whoever owns them waits for the answer.
      write: (add, remove) => call('write', { at: now(), add: add.map(alone), remove }),
      read: (from, bytes) => call('read', { from, bytes }),
      source: slice => call('source', { slice }),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** A view of memory that is not shared would be posted with all that lies around it. */
function alone(slice: NewSlice): NewSlice {
  const own = (piece: Uint8Array) => (piece.buffer instanceof SharedArrayBuffer ? piece : new Uint8Array(piece))
  return { ...slice, items: slice.items.map(own), source: slice.source.map(own) }
}
