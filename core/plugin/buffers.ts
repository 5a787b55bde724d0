// Recycled buffers in shared memory: fresh large ones would cause mark-compact collections and twice the memory.

/** Bytes that an input should read at once: it becomes the size of a chunk (see README, "Defaults and why"). */
export const CHUNK_BYTES = 128 * 1024
/** Size of a pooled buffer: a chunk and the unfinished record before it, or the documents made of it. */
export const POOLED_BYTES = 4 * CHUNK_BYTES
/**
 * Size of one for a few lines of a source that is followed. In large buffers hundreds of such chunks that wait for an output would, one
 * outage after the other, touch all the memory of each.
 */
const SMALL_BYTES = 32 * 1024
/**
 * How many idle buffers of a size are kept; more are left to the garbage collector, which is slow to see them: with fewer than a pipeline has
 * in flight, 16 MiB of work took 400 MB instead of 190 and an eighth more CPU time.
 */
const KEPT = 256

/** After so many returns it is looked how many idle buffers nobody has needed meanwhile, and a share of these is let go. */
const LOOK_AFTER = 1024
const LET_GO_SHARE = 8

const { copy } = Buffer.prototype
/** `least`: the fewest that were idle since the last look; `returns`: how often one was given back since then. */
const pools = [SMALL_BYTES, POOLED_BYTES].map(size => ({ size, idle: [] as Buffer[], least: 0, returns: 0 }))
/** Pooled memory that somebody holds: what is given back twice must not be handed out twice. */
const taken = new WeakSet<ArrayBufferLike>()

export const buffers = {
  /** A buffer of at least `bytes`, in shared memory, with any content. */
  take(bytes: number = POOLED_BYTES): Buffer {
    const pool = pools.find(({ size }) => bytes <= size)
    if (!pool) return Buffer.from(new SharedArrayBuffer(bytes))
    const buffer = pool.idle.pop() ?? Buffer.from(new SharedArrayBuffer(pool.size))
    pool.least = Math.min(pool.least, pool.idle.length)
    taken.add(buffer.buffer)
    return buffer
  },

  /** Gives back a buffer, or any view of one; those that are not from the pool are left alone. Only its sole owner may do so. */
  recycle({ buffer }: Uint8Array): void {
    if (!taken.delete(buffer)) return
    const pool = pools.find(({ size }) => size === buffer.byteLength)
    if (!pool) return
    if (pool.idle.length < KEPT) pool.idle.push(Buffer.from(buffer as SharedArrayBuffer))
    if (++pool.returns < LOOK_AFTER) return
    // What an outage has filled would stay touched for ever. The ones at the front are those that nobody has needed for longest.
    pool.idle.splice(0, Math.ceil(pool.least / LET_GO_SHARE))
    pool.returns = 0
    pool.least = pool.idle.length
  },

  /** Copies bytes to a place in a buffer. `set` would take ten times as long: it copies word by word where memory is shared. */
  copy(bytes: Uint8Array, to: Buffer, at = 0): void {
    copy.call(bytes as Buffer, to, at)
  },
}
