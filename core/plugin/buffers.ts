// Recycled buffers in shared memory: fresh large ones would cause mark-compact collections and twice the memory.

/** Bytes that an input should read at once: it becomes the size of a chunk (see README, "Defaults and why"). */
export const CHUNK_BYTES = 128 * 1024
/** Size of a pooled buffer: a chunk and the unfinished record before it, or the documents made of it. */
const POOLED_BYTES = 4 * CHUNK_BYTES
/**
 * How many idle buffers are kept; more are left to the garbage collector, which is slow to see them: with fewer than a pipeline has
 * in flight, 16 MiB of work took 400 MB instead of 190 and an eighth more CPU time.
 */
const KEPT = 256

const { copy } = Buffer.prototype
const idle: Buffer[] = []
/** Pooled memory that somebody holds: what is given back twice must not be handed out twice. */
const taken = new WeakSet<ArrayBufferLike>()

export const buffers = {
  /** A buffer of at least `bytes`, in shared memory, with any content. */
  take(bytes: number = POOLED_BYTES): Buffer {
    if (bytes > POOLED_BYTES) return Buffer.from(new SharedArrayBuffer(bytes))
    const buffer = idle.pop() ?? Buffer.from(new SharedArrayBuffer(POOLED_BYTES))
    taken.add(buffer.buffer)
    return buffer
  },

  /** Gives back a buffer, or any view of one; those that are not from the pool are left alone. Only its sole owner may do so. */
  recycle(bytes: Uint8Array): void {
    if (taken.delete(bytes.buffer) && idle.length < KEPT) idle.push(Buffer.from(bytes.buffer as SharedArrayBuffer))
  },

  /** Copies bytes to a place in a buffer. `set` would take ten times as long: it copies word by word where memory is shared. */
  copy(bytes: Uint8Array, to: Buffer, at = 0): void {
    copy.call(bytes as Buffer, to, at)
  },
}
