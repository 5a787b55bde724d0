// Recycled buffers in shared memory: fresh large ones would cause mark-compact collections and twice the memory.

/** Bytes that an input should read at once: it becomes the size of a chunk (see README, "Defaults and why"). */
export const CHUNK_BYTES = 128 * 1024
/** Size of a pooled buffer: a chunk and the unfinished record before it, or the documents made of it. */
export const POOLED_BYTES = 4 * CHUNK_BYTES
/**
 * How many idle buffers are kept; more are left to the garbage collector, which is slow to see them: with fewer than a pipeline has in
 * flight, 16 MiB of work took 400 MB instead of 190 and an eighth more CPU time.
 */
const KEPT = 256

/** After so many returns it is looked how many idle buffers nobody has needed meanwhile, and a share of these is let go. */
const LOOK_AFTER = 1024
const LET_GO_SHARE = 8

const { copy } = Buffer.prototype
const idle: Buffer[] = []
/** The fewest that were idle since the last look, and how often one was given back since then. */
let least = 0
let returns = 0
/** Pooled memory that somebody holds: what is given back twice must not be handed out twice. */
const taken = new WeakSet<ArrayBufferLike>()

/** A pooled buffer that few bytes of many share: `open` has the offsets of those that somebody holds. */
interface Shelf {
  readonly buffer: Buffer
  readonly open: Set<number>
  used: number
}
const shelves = new WeakMap<ArrayBufferLike, Shelf>()
/** The one that is being filled. */
let shelf: Shelf | undefined

export const buffers = {
  /** A buffer of at least `bytes`, in shared memory, with any content. */
  take(bytes: number = POOLED_BYTES): Buffer {
    if (bytes > POOLED_BYTES) return Buffer.from(new SharedArrayBuffer(bytes))
    const buffer = idle.pop() ?? Buffer.from(new SharedArrayBuffer(POOLED_BYTES))
    least = Math.min(least, idle.length)
    taken.add(buffer.buffer)
    return buffer
  },

  /**
   * A copy of a few bytes (at most POOLED_BYTES), in a buffer shared with others: a few lines that wait for an output must not hold half
   * a megabyte. Who idles with one for long holds all of that buffer.
   */
  store(bytes: Uint8Array): Buffer {
    if (bytes.length > POOLED_BYTES) throw new RangeError(`${bytes.length} bytes are too many to share a buffer`)
    if (!shelf || shelf.used + bytes.length > shelf.buffer.length) {
      const full = shelf
      shelf = { buffer: buffers.take(), open: new Set(), used: 0 }
      shelves.set(shelf.buffer.buffer, shelf)
      if (full) release(full)
    }
    const { buffer, open, used } = shelf
    open.add(used)
    buffers.copy(bytes, buffer, used)
    // Never nothing: each has an offset of its own.
    shelf.used += Math.max(1, bytes.length)
    return buffer.subarray(used, used + bytes.length)
  },

  /** Gives back a buffer or any view of one, or what was stored; all else is left alone. Only its sole owner may do so. */
  recycle({ buffer, byteOffset }: Uint8Array): void {
    const shared = shelves.get(buffer)
    if (shared) {
      if (shared.open.delete(byteOffset)) release(shared)
      return
    }
    if (!taken.delete(buffer)) return
    if (idle.length < KEPT) idle.push(Buffer.from(buffer as SharedArrayBuffer))
    if (++returns < LOOK_AFTER) return
    // What an outage has filled would stay touched for ever. The ones at the front are those that nobody has needed for longest.
    idle.splice(0, Math.ceil(least / LET_GO_SHARE))
    returns = 0
    least = idle.length
  },

  /** Copies bytes to a place in a buffer. `set` would take ten times as long: it copies word by word where memory is shared. */
  copy(bytes: Uint8Array, to: Buffer, at = 0): void {
    copy.call(bytes as Buffer, to, at)
  },
}

/** A buffer that nobody holds a part of any more is filled from its start again, or, when it was full, given back. */
function release(shared: Shelf): void {
  if (shared.open.size > 0) return
  shared.used = 0
  if (shared === shelf) return
  shelves.delete(shared.buffer.buffer)
  buffers.recycle(shared.buffer)
}
