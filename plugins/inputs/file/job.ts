// What reading once and following share: the options, the counts, the troubles, and how a file is opened and recognised.
import { type FileHandle, open } from 'node:fs/promises'
import { buffers as pool } from '../../../core/plugin/buffers.ts'
import { errorCode } from '../../../core/plugin/errors.ts'
import type { Chunk, Context } from '../../../core/plugin/interfaces.ts'
import { type Buffers, type Content, contentAtEnd, openContent, resumeContent } from './content.ts'
import { explain, type Finder, foundAs } from './discover.ts'
import { examine, type Form, type FormOptions, fileSource, isSeekable, leadingZeros, startOf } from './form.ts'
import { type Found, type Known, matchesHead, type Position } from './position.ts'
import { emptyChunk, Reading } from './reading.ts'

export interface FileOptions extends FormOptions {
  readonly start_at: 'beginning' | 'end'
  readonly missing: 'error' | 'wait'
  readonly discover_interval_ms: number
  readonly poll_interval_ms: number
  readonly rotate_wait_ms: number
  readonly forget_after_ms: number
}

/** What `summary` tells. */
export interface Tally {
  files: number
  /** Files that had been read to the end before. */
  before: number
  /** Of the text that was read. */
  bytes: number
  damages: number
}

export interface Job {
  readonly context: Context
  readonly options: FileOptions
  readonly finder: Finder
  readonly known: Known
  readonly tally: Tally
  readonly troubles: Troubles
  /** For all plain files, one after the other. */
  readonly buffers: Buffers
}

/** What cannot be read, by name: shown as the input's health for as long as it is so. */
export interface Troubles {
  set(what: string, why: string): void
  clear(what: string): void
  /** Takes these in the place of all that were set by `replace` before. */
  replace(all: ReadonlyMap<string, string>): void
  readonly size: number
}

export function createTroubles(context: Context): Troubles {
  const single = new Map<string, string>()
  let listed: ReadonlyMap<string, string> = new Map()
  let told = ''
  const tell = () => {
    const all = new Map([...listed, ...single])
    const [first] = all
    const more = all.size > 1 ? ` (and ${all.size - 1} more)` : ''
    const why = first ? `${first[0]}: ${first[1]}${more}` : ''
    if (why === told) return
    told = why
    if (why) context.health('degraded', why)
    else context.health('ok')
  }
  return {
    set(what, why) {
      if (single.get(what) === why) return
      single.set(what, why)
      context.log.warn({ path: what }, `${what}: ${why}`)
      tell()
    },
    clear(what) {
      if (single.delete(what)) tell()
    },
    replace(all) {
      for (const [what, why] of all) if (listed.get(what) !== why) context.log.warn({ path: what }, `${what}: ${why}`)
      listed = all
      tell()
    },
    get size() {
      return new Set([...listed.keys(), ...single.keys()]).size
    },
  }
}

/** Why a file cannot be read, in words. Throws the error again when it is none of the system's. */
export function whyUnread(error: unknown): string {
  if (!(error instanceof Error) || typeof (error as NodeJS.ErrnoException).syscall !== 'string') throw error
  return explain(errorCode(error))
}

/** An open file, looked at. */
export interface Opened {
  readonly handle: FileHandle
  /** As it was when it was opened. */
  readonly file: Found
  readonly form: Form
  /** The first bytes of the text. */
  readonly head: Buffer
}

/** A content that is being read. */
export interface Started {
  readonly reading: Reading
  readonly content: Content
  /** Text that had to be decoded on the way here; push it first. */
  readonly rest: Uint8Array | undefined
}

/** Opens a file and looks at its first bytes. Rejects with the system's error. */
export async function openFile({ options }: Job, path: string): Promise<Opened> {
  const handle = await open(path)
  try {
    const file = foundAs(path, await handle.stat({ bigint: true }))
    return { handle, file, ...(await examine(fileSource(handle, file.size), options)) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** True when the file has this content, as far as that can be told without decoding it. */
export function looksLike({ form, head, file }: Opened, position: Position): boolean {
  return matchesHead(head, position.head) && (!isSeekable(form) || file.size >= position.offset)
}

/**
 * Starts a known content in this file; undefined when it is not there. `growing`: bytes that are written from now on count as well
 * (a compressed file is read as long as it was when it was opened).
 */
export async function startKnown(
  { context, buffers }: Job,
  { handle, file, form, head }: Opened,
  partition: string,
  position: Position,
  growing = false,
): Promise<Started | undefined> {
  const source = fileSource(handle, growing && form.compression === 'none' ? Number.POSITIVE_INFINITY : file.size)
  const resumed = await resumeContent(source, form, head, position, buffers)
  if (!resumed) return undefined
  const { content, tail, rest, reported } = resumed
  const { offset, state, damages = 0 } = position
  const { codec, maxEventBytes } = context
  const reading = new Reading({ partition, file, codec, maxEventBytes, head, offset, tail, state, damages, reported })
  return { reading, content, rest }
}

/** Starts a content that is not known, or with `atEnd` what will be written behind it. */
export async function startNew(
  { context, buffers, known }: Job,
  { handle, file, form, head }: Opened,
  growing = false,
  atEnd = false,
): Promise<Started> {
  const source = fileSource(handle, growing && form.compression === 'none' ? Number.POSITIVE_INFINITY : file.size)
  const { codec, maxEventBytes } = context
  const partition = known.newPartition(file, head)
  const begin = { partition, file, codec, maxEventBytes, head }
  if (atEnd) {
    const { content, offset, first } = await contentAtEnd(source, file.size, form, buffers)
    // A CSV's header stands in the first bytes.
    const framer = codec.framer({ path: file.path }, { maxEventBytes })
    for (const chunk of framer.push(first)) pool.recycle(chunk.bytes)
    return { reading: new Reading({ ...begin, offset, state: framer.state }), content, rest: undefined }
  }
  const zeros = await leadingZeros(source, form, buffers[0])
  if (zeros > 0)
    context.log.warn(
      { path: file.path, bytes: zeros },
      'the file begins with zero bytes, as truncating leaves them; they are left out',
    )
  return {
    reading: new Reading({ ...begin, offset: startOf(form) + zeros }),
    content: openContent(source, form, buffers, zeros),
    rest: undefined,
  }
}

/**
 * Contents that may go on in a file that is not known itself: a copy, perhaps compressed, of one whose own file is gone or was cut
 * off. Those of fewer than 1,024 bytes only where the name says so as well (`related`: app.log, app.log.1.gz): small files that are
 * alike are common.
 */
export function origins({ known }: Job, { head, file }: Opened): { partition: string; position: Position; related: boolean }[] {
  return known.like(file, head).map(([partition, position]) => {
    const related = file.path.startsWith(position.path) && file.path !== position.path
    return { partition, position, related }
  })
}

/** Notes that a known file is there; one that was thought to be gone is back. */
export function* present({ known }: Job, partition: string): Generator<Chunk> {
  known.present.add(partition)
  const { gone, ...position } = known.get(partition)!
  if (gone === undefined) return
  known.set(partition, position)
  yield emptyChunk(partition, { position })
}

/** Notes since when files are gone, and forgets those that have been for long enough: the state must not grow for ever. */
export function* forget({ known, context, options }: Job): Generator<Chunk> {
  const now = context.clock.now()
  for (const [partition, position] of [...known.entries()]) {
    if (known.present.has(partition)) continue
    if (position.gone === undefined) {
      const gone = { ...position, gone: now }
      known.set(partition, gone)
      yield emptyChunk(partition, { position: gone })
    } else if (now - position.gone >= options.forget_after_ms) {
      known.delete(partition)
      yield emptyChunk(partition, { last: true })
    }
  }
}
