// A disk with a volatile write cache, as a process of its own: it serves one file over FUSE, for a loop device to lie on. What was
// written since the last flush is only in the cache; a power cut keeps whatever part of it the dice choose, sector by sector.
import { spawn } from 'node:child_process'
import { closeSync, ftruncateSync, openSync, read, readFileSync, writeSync } from 'node:fs'

/** Asks for a power cut. */
export interface CutOrder {
  /** At which write from now on; 0: at once. */
  readonly writes: number
  /** File that gets what the disk holds when power is back. */
  readonly to: string
  /** Numbers from 0 to 1: the first one says how much of the cache is kept, the others which sectors. */
  readonly dice: readonly number[]
}

/** What is told once the power is cut. */
export interface Cut {
  /** Flushes and writes that came before. */
  readonly flushes: number
  readonly writes: number
  /** Sectors in the cache, how many of them were lost, and writes of which only a part was lost. */
  readonly cached: number
  readonly lost: number
  readonly torn: number
  /** The order said at once. */
  readonly atOnce: boolean
}

/** What a disk writes whole or not at all. Bytes. */
const SECTOR = 512
/** Blocks of zeros of this size are left out of the file that a cut writes. */
const BLOCK = 64 * 1024
const MAX_WRITE = 128 * 1024

// Numbers of the FUSE protocol, version 7.31: linux/fuse.h.
const OP = { forget: 2, getattr: 3, setattr: 4, open: 14, read: 15, write: 16, statfs: 17, release: 18, fsync: 20 } as const
const MORE = { flush: 25, init: 26, interrupt: 36, destroy: 38, batchForget: 42 } as const
const HEADER = 40
const WRITE_HEADER = HEADER + 40
const ASYNC_READ_AND_BIG_WRITES = 0x21
const REGULAR_FILE = 0o100600
const EIO = -5
const ENOSYS = -38

const [image = '', mountPoint = ''] = process.argv.slice(2)
/** The disk as the computer sees it, and as it is without power. */
const now = readFileSync(image)
const durable = Buffer.from(now)
let cache: { readonly at: number; readonly bytes: Buffer }[] = []
let flushes = 0
let writes = 0
let order: CutOrder | undefined
let isCut = false

const device = openSync('/dev/fuse', 'r+')

function reply(unique: Buffer, error: number, body: Buffer = Buffer.alloc(0)): void {
  const answer = Buffer.alloc(16 + body.length)
  answer.writeUInt32LE(answer.length, 0)
  answer.writeInt32LE(error, 4)
  unique.copy(answer, 8)
  body.copy(answer, 16)
  try {
    writeSync(device, answer)
  } catch {
    // Who asked does not wait any more.
  }
}

function greeting(): Buffer {
  const out = Buffer.alloc(64)
  out.writeUInt32LE(7, 0)
  out.writeUInt32LE(31, 4)
  out.writeUInt32LE(MAX_WRITE, 8)
  out.writeUInt32LE(ASYNC_READ_AND_BIG_WRITES, 12)
  out.writeUInt16LE(16, 16)
  out.writeUInt16LE(12, 18)
  out.writeUInt32LE(MAX_WRITE, 20)
  out.writeUInt32LE(1, 24)
  return out
}

function attributes(): Buffer {
  const out = Buffer.alloc(104)
  out.writeBigUInt64LE(3600n, 0)
  out.writeBigUInt64LE(1n, 16)
  out.writeBigUInt64LE(BigInt(now.length), 24)
  out.writeBigUInt64LE(BigInt(now.length / SECTOR), 32)
  out.writeUInt32LE(REGULAR_FILE, 76)
  out.writeUInt32LE(1, 80)
  out.writeUInt32LE(4096, 96)
  return out
}

function answer(request: Buffer): void {
  const op = request.readUInt32LE(4)
  const unique = request.subarray(8, 16)
  switch (op) {
    case OP.forget:
    case MORE.batchForget:
    case MORE.interrupt:
      return
    case MORE.init:
      reply(unique, 0, greeting())
      return
    case OP.getattr:
    case OP.setattr:
      reply(unique, 0, attributes())
      return
    case OP.open:
      reply(unique, 0, Buffer.alloc(16))
      return
    case OP.statfs:
      reply(unique, 0, Buffer.alloc(80))
      return
    case OP.release:
    case MORE.flush:
    case MORE.destroy:
      reply(unique, 0)
      return
    case OP.read:
    case OP.write:
    case OP.fsync:
      if (isCut) reply(unique, EIO)
      else transfer(op, unique, request)
      return
    default:
      reply(unique, ENOSYS)
  }
}

function transfer(op: number, unique: Buffer, request: Buffer): void {
  if (op === OP.fsync) {
    for (const { at, bytes } of cache) bytes.copy(durable, at)
    cache = []
    flushes++
    reply(unique, 0)
    return
  }
  const at = Number(request.readBigUInt64LE(HEADER + 8))
  const size = request.readUInt32LE(HEADER + 16)
  if (op === OP.read) {
    reply(unique, 0, now.subarray(at, at + size))
    return
  }
  const bytes = Buffer.from(request.subarray(WRITE_HEADER, WRITE_HEADER + size))
  bytes.copy(now, at)
  cache.push({ at, bytes })
  writes++
  if (order && --left <= 0) {
    cut(order)
    reply(unique, EIO)
    return
  }
  const taken = Buffer.alloc(8)
  taken.writeUInt32LE(size, 0)
  reply(unique, 0, taken)
}
let left = 0

/** Takes the power away: from now on nothing is read or written. */
function cut({ to, dice, writes: wanted }: CutOrder): void {
  isCut = true
  // All of the cache is lost, or none of it, or any share.
  const kept = (dice[0] as number) * 1.6 - 0.3
  let at = 0
  const counts = { cached: 0, lost: 0, torn: 0 }
  for (const write of cache) {
    let lost = 0
    for (let from = 0; from < write.bytes.length; from += SECTOR) {
      at = (at + 1) % dice.length
      if ((dice[at] as number) < kept) write.bytes.copy(durable, write.at + from, from, from + SECTOR)
      else lost++
    }
    const sectors = Math.ceil(write.bytes.length / SECTOR)
    counts.cached += sectors
    counts.lost += lost
    if (lost > 0 && lost < sectors) counts.torn++
  }
  save(to)
  process.send?.({ flushes, writes, ...counts, atOnce: wanted === 0 } satisfies Cut)
}

/** Writes a file with holes for the zeros. */
function save(to: string): void {
  const file = openSync(to, 'w')
  const zeros = Buffer.alloc(BLOCK)
  for (let at = 0; at < durable.length; at += BLOCK) {
    const block = durable.subarray(at, at + BLOCK)
    if (!block.equals(zeros.subarray(0, block.length))) writeSync(file, block, 0, block.length, at)
  }
  ftruncateSync(file, durable.length)
  closeSync(file)
}

const buffer = Buffer.alloc(MAX_WRITE + BLOCK)
function next(): void {
  read(device, buffer, 0, buffer.length, null, (error, length) => {
    // The file was unmounted.
    if (error?.code === 'ENODEV') process.exit(0)
    if (!error) answer(buffer.subarray(0, length))
    next()
  })
}

const options = ['fd=3', 'rootmode=100000', 'user_id=0', 'group_id=0', 'allow_other', `max_read=${MAX_WRITE}`]
const mount = spawn('mount', ['-i', '-t', 'fuse', '-o', options.join(), 'power-disk', mountPoint], {
  stdio: ['ignore', 'ignore', 'pipe', device],
})
let why = ''
mount.stderr?.on('data', data => {
  why += data
})
mount.on('close', code => process.send?.(code === 0 ? 'ready' : `it cannot be mounted: ${why}`))
process.on('message', (given: CutOrder) => {
  if (isCut) return
  order = given
  left = given.writes
  if (left === 0) cut(order)
})
process.on('disconnect', () => process.exit(0))
next()
