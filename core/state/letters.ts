// Dead letters: what is done with letters.db.

import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { pragma } from './database.ts'
import { freeBytes, refusal } from './failure.ts'
import type { LetterMessage, StoredMessage } from './protocol.ts'
import type { LetterCount, LetterFilter } from './types.ts'

/** What a letter takes beside its texts and bytes. */
const LETTER_BYTES = 256
/** An answer ends after so many bytes. */
const LIST_BYTES = 32 * 1024 * 1024
const LIST_LETTERS = 1000
/** A step of `mark` or `remove` takes no more than this, so that it holds the file for some milliseconds only. */
const STEP_LETTERS = 1000
const STEP_BYTES = 4 * 1024 * 1024
/** Free pages that letters.db may keep after a removal; what is beyond goes back to the disk, so many pages a step. */
const KEPT_PAGES = 64
const VACUUM_PAGES = 200
/** So much of the disk is left when letters stop: a file that has filled its disk to the last byte cannot even be emptied. */
const DISK_BYTES = 8 * 1024 * 1024

/** How far a `mark` or `remove` has come. */
export interface Progress {
  after: number
  count: number
  vacuuming: boolean
  /** Letters that come while it runs are not its own. */
  readonly newest: number
}

/** The statements on an open letters.db. `add` wants a transaction around it. */
export function letters(db: DatabaseSync, folder: string, maxBytes: number) {
  const insert = db.prepare(
    `INSERT INTO letters (at, pipeline, step, stage, input, code, size, sum, tries, length, "offset", event, sha256, error, meta, bytes)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const total = db.prepare('SELECT coalesce(sum(bytes), 0) AS bytes FROM totals')
  const totals = db.prepare('SELECT * FROM totals ORDER BY pipeline, step, code')
  const one = db.prepare('SELECT letters.*, marks.id AS mark FROM letters LEFT JOIN marks USING (id) WHERE letters.id = ?')
  const newest = db.prepare('SELECT coalesce(max(id), 0) AS id FROM letters')
  const markOne = db.prepare('INSERT OR IGNORE INTO marks SELECT id FROM letters WHERE id = ?')
  const removeOne = db.prepare('DELETE FROM letters WHERE id = ?')
  const exists = db.prepare('SELECT 1 FROM letters WHERE id = ?')

  /** Ids and sizes of what fits a filter, oldest first. */
  function* matching(filter: LetterFilter): Iterable<{ id: number; size: number }> {
    const { where, values } = conditions(filter)
    yield* db.prepare(`SELECT id, size FROM letters WHERE ${where} ORDER BY id`).iterate(...values) as Iterable<{
      id: number
      size: number
    }>
  }

  /** The next ids for a step. */
  function some(filter: LetterFilter, limit: number, maxBytes: number): number[] {
    const ids: number[] = []
    let bytes = 0
    for (const { id, size } of matching(filter)) {
      if (ids.length > 0 && bytes + size > maxBytes) break
      ids.push(id)
      bytes += size
      if (ids.length >= limit) break
    }
    return ids
  }

  return {
    /** @throws PEN_DEAD_LETTERS_FULL or ENOSPC, before anything is written */
    add(batch: readonly LetterMessage[], at: string): void {
      const bytes = batch.reduce((sum, letter) => sum + sizeOf(letter), 0)
      if (Number(total.get()?.['bytes']) + bytes > maxBytes) throw full(folder, maxBytes)
      // In the log first, then in the file.
      if (freeBytes(folder) < DISK_BYTES + 2 * bytes) throw diskFull(folder)
      for (const letter of batch) {
        const { pipeline, step, stage, input, code, tries, length, offset, event, sha256, error, meta } = letter
        insert.run(
          ...[at, pipeline, step, stage, input, code, sizeOf(letter), sumOf(letter), tries, length],
          ...[offset ?? null, event ?? null, sha256 ?? null, error, meta, letter.bytes],
        )
      }
    },

    list(filter: LetterFilter): StoredMessage[] {
      const limit = filter.limit ?? LIST_LETTERS
      const found: StoredMessage[] = []
      for (let after = filter.after ?? 0; found.length === 0 && limit > 0; ) {
        const ids = some({ ...filter, after }, limit, LIST_BYTES)
        if (ids.length === 0) break
        after = ids.at(-1) as number
        for (const id of ids) {
          const row = one.get(id)
          const letter = row && letterOf(row)
          if (letter && !(letter.damaged && filter.replay)) found.push(letter)
        }
      }
      return found
    },

    counts(): LetterCount[] {
      return totals.all().map(row => ({ ...row })) as unknown as LetterCount[]
    },

    start(filter: LetterFilter): Progress {
      return { after: filter.after ?? 0, count: 0, vacuuming: false, newest: Number(newest.get()?.['id']) }
    },

    /** One transaction of a `mark` or `remove`. True when there is nothing more to do; what throws may be called again. */
    step(op: 'mark' | 'remove', filter: LetterFilter, progress: Progress): boolean {
      if (progress.vacuuming) return vacuumed()
      const left = Math.min(STEP_LETTERS, (filter.limit ?? Infinity) - progress.count)
      const ids = left > 0 ? some({ ...filter, after: progress.after }, left, STEP_BYTES).filter(id => id <= progress.newest) : []
      if (ids.length === 0) {
        progress.vacuuming = true
        return op === 'mark'
      }
      let count = 0
      db.exec('BEGIN IMMEDIATE')
      for (const id of ids) {
        if (op === 'remove') count += Number(removeOne.run(id).changes)
        else if (exists.get(id)) {
          markOne.run(id)
          count++
        }
      }
      db.exec('COMMIT')
      progress.after = ids.at(-1) as number
      progress.count += count
      return false
    },
  }

  /** Gives a piece of the room that was freed back to the disk. True when there is little left to give. */
  function vacuumed(): boolean {
    const free = pragma(db, 'freelist_count')
    if (free > KEPT_PAGES) db.exec(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`)
    const left = pragma(db, 'freelist_count')
    if (left > KEPT_PAGES && left < free) return false
    // Only this makes the file shorter.
    db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    return true
  }
}

function conditions(filter: LetterFilter): { where: string; values: SQLInputValue[] } {
  const where = ['id > ?']
  const values: SQLInputValue[] = [filter.after ?? 0]
  const add = (condition: string, value: SQLInputValue | undefined) => {
    if (value === undefined) return
    where.push(condition)
    values.push(value)
  }
  add('pipeline = ?', filter.pipeline)
  add('step = ?', filter.step)
  add('at < ?', filter.before)
  add('id IN (SELECT value FROM json_each(?))', filter.ids && JSON.stringify(filter.ids))
  if (filter.replay !== undefined) where.push(`id ${filter.replay ? '' : 'NOT '}IN (SELECT id FROM marks)`)
  return { where: where.join(' AND '), values }
}

type Hashed = Pick<LetterMessage, 'bytes' | 'error' | 'meta'>

function sizeOf({ bytes, error, meta }: Hashed): number {
  return LETTER_BYTES + bytes.length + error.length + meta.length
}

/** What a replay reads again must be what was written: disks do change bytes. */
function sumOf({ bytes, error, meta }: Hashed): number {
  return crc32(meta, crc32(error, crc32(bytes)))
}

/** A row of the table as a letter. */
export function letterOf(row: Record<string, unknown>): StoredMessage {
  const { size: _size, sum, mark, offset, event, sha256, ...rest } = row
  const letter = rest as unknown as StoredMessage
  return {
    ...letter,
    ...(offset === null ? {} : { offset: offset as number }),
    ...(event === null ? {} : { event: event as string }),
    ...(sha256 === null ? {} : { sha256: sha256 as string }),
    replay: mark !== null,
    ...(sumOf(letter) === sum ? {} : { damaged: true as const }),
  }
}

function diskFull(folder: string): Error {
  return refusal(
    'ENOSPC',
    `state: cannot write dead letters in ${folder}: no space left on the disk (ENOSPC; the last 8 MiB are kept for a purge): make room there`,
  )
}

function full(folder: string, maxBytes: number): Error {
  const limit = maxBytes >= 2 ** 20 ? `${+(maxBytes / 2 ** 20).toFixed(1)} MiB` : `${maxBytes} bytes`
  return refusal(
    'PEN_DEAD_LETTERS_FULL',
    `state: the dead letters in ${folder} have reached their limit of ${limit}: see why with \`penstock dlq list\`, then make room with \`penstock dlq purge\``,
  )
}
