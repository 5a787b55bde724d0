// What is stored of a file: which content it is, wherever it lies by now, and how far it was read.
import { hash } from 'node:crypto'
import { basename } from 'node:path'
import { isObject, type Json } from '../../../core/plugin/json.ts'

/** The first bytes of a content that say which one it is. */
export const HEAD_BYTES = 1024
/** The bytes before a place that say that a content is still the same up to there. */
export const TAIL_BYTES = 256
/** Shorter contents are never taken for the same in another file. */
const LEAST_BYTES = 64

/** A fingerprint of some bytes. */
export type Print = { readonly length: number; readonly hash: string }

/** A file as it was found. */
export interface Found {
  readonly path: string
  readonly dev: string
  readonly ino: string
  /** Bytes. */
  readonly size: number
  /** Modification time, nanoseconds since 1970. */
  readonly modified: string
  /** When it was made, nanoseconds since 1970: tells apart files that have the same inode one after the other. '0': not known. */
  readonly born: string
}

/** Offsets and prints count in the text: decompressed, and UTF-8. */
export type Position = {
  readonly path: string
  /** A device's number may change when the machine starts anew: it decides nothing alone. */
  readonly dev: string
  /** Empty: it lies in no file any more. */
  readonly ino: string
  readonly born: string
  readonly head: Print
  /** Of the bytes before `offset`. */
  readonly tail: Print
  /** Where to go on. */
  readonly offset: number
  /** What the framer must know there. */
  readonly state?: Json
  /** How many damages before that place were reported: in the middle of the file, not where it ends too early. */
  readonly damages?: number
  /** As the file was when all of it had been read: the same again need not be opened. */
  readonly seen?: { readonly size: number; readonly modified: string }
  /** Since when no such file was found, milliseconds since 1970. */
  readonly gone?: number
}

export function print(bytes: Uint8Array): Print {
  return { length: bytes.length, hash: hash('sha256', bytes, 'hex').slice(0, 32) }
}

/** True when `bytes` begin with what was printed. */
export function matchesHead(bytes: Uint8Array, head: Print): boolean {
  return bytes.length >= head.length && print(bytes.subarray(0, head.length)).hash === head.hash
}

/** The partition of a content that begins in this file: readable, and the same for as long as it is read, under whatever name. */
function partitionName(file: Found, head: Uint8Array): string {
  return `${basename(file.path)}#${file.ino}.${print(head).hash.slice(0, 8)}`
}

function isPosition(value: unknown): value is Position {
  if (!isObject(value)) return false
  const { path, dev, ino, born, head, tail, offset } = value
  const isPrint = (p: unknown) => isObject(p) && typeof p['length'] === 'number' && typeof p['hash'] === 'string'
  const isText = [path, dev, ino, born].every(text => typeof text === 'string')
  return isText && typeof offset === 'number' && isPrint(head) && isPrint(tail)
}

/** All contents that are known, by partition, inode, path and full head. */
export class Known {
  readonly #positions = new Map<string, Position>()
  readonly #byInode = new Map<string, Set<string>>()
  readonly #byPath = new Map<string, Set<string>>()
  readonly #byHead = new Map<string, Set<string>>()
  /** Partitions whose file is there. */
  readonly present = new Set<string>()

  /** Takes over a stored position; others than this input's own are left out. */
  load(partition: string, stored: unknown): void {
    if (isPosition(stored)) this.set(partition, stored)
  }

  get(partition: string): Position | undefined {
    return this.#positions.get(partition)
  }

  entries(): IterableIterator<[string, Position]> {
    return this.#positions.entries()
  }

  set(partition: string, position: Position): void {
    const old = this.#positions.get(partition)
    if (old?.ino !== position.ino || old.path !== position.path || old.head.hash !== position.head.hash) {
      this.delete(partition)
      add(this.#byInode, position.ino, partition)
      add(this.#byPath, position.path, partition)
      if (position.head.length === HEAD_BYTES) add(this.#byHead, position.head.hash, partition)
    }
    this.#positions.set(partition, position)
  }

  delete(partition: string): void {
    const old = this.#positions.get(partition)
    if (!old) return
    this.#positions.delete(partition)
    remove(this.#byInode, old.ino, partition)
    remove(this.#byPath, old.path, partition)
    remove(this.#byHead, old.head.hash, partition)
  }

  /** Contents that were last seen under this inode, those of the same device first. */
  ofInode({ ino, dev, born }: Found): [string, Position][] {
    const found = [...(this.#byInode.get(ino) ?? [])]
      .map((partition): [string, Position] => [partition, this.#positions.get(partition)!])
      .filter(([, position]) => position.born === born || position.born === '0' || born === '0')
    return found.sort((a, b) => Number(b[1].dev === dev) - Number(a[1].dev === dev))
  }

  /** Contents that may go on in a file that begins with `head`, those read furthest first: see `origins`. */
  like({ path }: Found, head: Uint8Array): [string, Position][] {
    const partitions = new Set<string>()
    for (let end = path.lastIndexOf('/') + 2; end < path.length; end++) {
      for (const partition of this.#byPath.get(path.slice(0, end)) ?? []) partitions.add(partition)
    }
    if (head.length === HEAD_BYTES) {
      for (const partition of this.#byHead.get(print(head).hash) ?? []) {
        if (this.#positions.get(partition)!.offset >= HEAD_BYTES) partitions.add(partition)
      }
    }
    return [...partitions]
      .map((partition): [string, Position] => [partition, this.#positions.get(partition)!])
      .filter(([, position]) => position.offset >= LEAST_BYTES && matchesHead(head, position.head))
      .sort((a, b) => b[1].offset - a[1].offset)
  }

  /** The partition of a file that is as it was when all of it had been read. */
  unchanged(file: Found): string | undefined {
    for (const [partition, { dev, seen }] of this.ofInode(file)) {
      if (dev === file.dev && seen?.size === file.size && seen.modified === file.modified) return partition
    }
    return undefined
  }

  /** A name for a new content that no other has. */
  newPartition(file: Found, head: Uint8Array): string {
    const name = partitionName(file, head)
    for (let n = 1; ; n++) {
      const partition = n === 1 ? name : `${name}.${n}`
      if (!this.#positions.has(partition)) return partition
    }
  }
}

function add(index: Map<string, Set<string>>, key: string, partition: string): void {
  const set = index.get(key)
  if (set) set.add(partition)
  else index.set(key, new Set([partition]))
}

function remove(index: Map<string, Set<string>>, key: string, partition: string): void {
  const set = index.get(key)
  set?.delete(partition)
  if (set?.size === 0) index.delete(key)
}
