// A place in compressed or encoded bytes where something cannot be decoded: what is left is told, never left out in silence.
import { createHash, type Hash } from 'node:crypto'
import type { ByteWindow } from './source.ts'

/** How much of what is left a damage carries along. */
const KEPT_BYTES = 64 * 1024
const SEEK_BYTES = 64 * 1024

export interface Damage {
  /** A sentence with the place in it. */
  readonly reason: string
  /** Where the bytes that were not decoded begin, in the compressed (or encoded) source. */
  readonly offset: number
  /** How many there are. */
  readonly length: number
  /** They, or their first 64 KiB. */
  readonly bytes: Buffer
  /** SHA-256 in hex of all of them, where `bytes` is cut. */
  readonly sha256?: string
  /** The decoded bytes before and after it do not belong together. */
  readonly gap: boolean
  /** The source ends too early: more may come while it is still being written. */
  readonly truncated: boolean
}

/** A piece of what was decoded, or a place that could not be. */
export type Piece = Uint8Array | Damage

export function isDamage(piece: Piece): piece is Damage {
  return !(piece instanceof Uint8Array)
}

/** Collects what is stepped over until something can be decoded again. */
export class Leftover {
  readonly #offset: number
  readonly #hash: Hash = createHash('sha256')
  readonly #kept: Buffer[] = []
  #keptBytes = 0
  #length = 0

  constructor(offset: number) {
    this.#offset = offset
  }

  add(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#length += bytes.length
    const room = KEPT_BYTES - this.#keptBytes
    if (room <= 0) return
    const part = Buffer.from(bytes.subarray(0, room))
    this.#kept.push(part)
    this.#keptBytes += part.length
  }

  damage(reason: string, options: { gap?: boolean; truncated?: boolean } = {}): Damage {
    const { gap = true, truncated = false } = options
    const cut = this.#length > this.#keptBytes
    const damage = { reason, offset: this.#offset, length: this.#length, bytes: Buffer.concat(this.#kept), gap, truncated }
    return cut ? { ...damage, sha256: this.#hash.digest('hex') } : damage
  }
}

/** What came of a place where a part may begin: whether one does, and what the trial cost (see Engine). */
export interface Trial {
  readonly begins: boolean
  readonly work: number
}

/**
 * A source may be made of what only looks like beginnings, each of which decodes for long: where so much work was spent on them, and
 * more than this for each byte that was stepped over, no more are tried for a while. A swallowed part costs one trial.
 */
const WORK_BYTES = 64 * 1024 * 1024
const WORK_PER_BYTE = 64

/**
 * Steps over bytes into `leftover` until a part begins there (true), or the source or `until` is reached. `magic` is what a part
 * begins with; `attempt` gets the place in the source, to try whether one really does.
 */
export async function seek(
  window: ByteWindow,
  leftover: Leftover,
  magic: Buffer,
  attempt: (at: number) => Promise<Trial>,
  until = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  let allowance = WORK_BYTES
  while (window.position < until) {
    const left = until - window.position
    const most = Math.min(SEEK_BYTES, left + magic.length - 1)
    const bytes = await window.peek(most)
    if (bytes.length === 0) return false
    const found = bytes.indexOf(magic)
    if (found === 0 && allowance > 0) {
      const { begins, work } = await attempt(window.position)
      if (begins) return true
      allowance -= work
    }
    // A magic that the end of this piece cuts in two is found with the next one.
    const none = bytes.length < most ? bytes.length : bytes.length - magic.length + 1
    const step = Math.min(found > 0 ? found : found === 0 ? 1 : none, left)
    leftover.add(bytes.subarray(0, step))
    window.take(step)
    allowance += step * WORK_PER_BYTE
  }
  return false
}
