// What a power cut takes from the outputs of a killed program: bytes and names that it had not made durable, as its trace tells. Unlike
// a file system in a test it is as mean as POSIX allows: a name lives only if its folder was synced after it was made.
import { closeSync, existsSync, openSync, readdirSync, renameSync, rmSync, statSync, truncateSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Note } from '../kit/kill-scene.ts'

export interface Lost {
  readonly names: number
  readonly bytes: number
}

/** The sizes of all files below a folder, folders among them with 0. */
export function sizesBelow(folder: string): Map<string, number> {
  if (!existsSync(folder)) return new Map()
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => join(folder, name))
  return new Map([folder, ...paths].map(path => [path, statSync(path).isFile() ? statSync(path).size : 0]))
}

/** `durable`: the sizes when the program started; it had lost what was not durable then. */
export function losePower(folder: string, durable: Map<string, number>, notes: readonly Note[], random: () => number): Lost {
  /** How to take back the names that are not durable yet, by the folder that they lie in. */
  const owed = new Map<string, (() => void)[]>()
  const owe = (path: string, undo: () => void) => owed.set(dirname(path), [...(owed.get(dirname(path)) ?? []), undo])
  const isKnown = new Set(durable.keys())
  const move = (from: string, to: string) => {
    if (!existsSync(to) || existsSync(from)) return
    renameSync(to, from)
    durable.set(from, durable.get(to) ?? 0)
    durable.delete(to)
  }
  /** Renames that have begun, to what: two outputs may be at it at once. */
  const moving = new Map<string, string>()
  for (const note of notes) {
    const { made, moved, synced, cut, size = 0 } = note
    if (note.moving) moving.set(...note.moving)
    if (made !== undefined && !durable.has(made)) {
      durable.set(made, 0)
      isKnown.add(made)
      owe(made, () => rmSync(made, { recursive: true, force: true }))
    }
    if (moved) {
      const [from, to] = moved
      moving.delete(from)
      durable.set(to, durable.get(from) ?? 0)
      durable.delete(from)
      isKnown.add(to)
      owe(to, () => move(from, to))
    }
    if (synced !== undefined) {
      durable.set(synced, size)
      owed.delete(synced)
    }
    if (cut !== undefined) durable.set(cut, Math.min(size, durable.get(cut) ?? 0))
  }
  // The kill came before these could be noted: what is durable of them still stands under the name before.
  for (const [from, to] of moving) if (!isKnown.has(to) && existsSync(to) && !existsSync(from)) renameSync(to, from)
  for (const path of sizesBelow(folder).keys()) if (!isKnown.has(path)) rmSync(path, { recursive: true, force: true })

  let names = 0
  for (const undo of [...owed.values()].flatMap(undos => undos.reverse())) {
    undo()
    names++
  }
  let bytes = 0
  for (const [path, size] of sizesBelow(folder)) bytes += loseBytes(path, durable.get(path) ?? 0, size, random)
  return { names, bytes }
}

/** Of the bytes behind `durable` only a part is there, and some of that may be zeros: pages that never came to the disk. */
function loseBytes(path: string, durable: number, size: number, random: () => number): number {
  if (size <= durable) return 0
  const kept = durable + Math.floor(random() * (size - durable))
  truncateSync(path, kept)
  const from = durable + Math.floor(random() * (kept - durable))
  const zeros = random() < 0.5 ? Math.floor(random() * (kept - from)) : 0
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(zeros), 0, zeros, from)
  closeSync(file)
  return size - kept + zeros
}
