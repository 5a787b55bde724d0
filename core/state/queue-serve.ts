// A disk queue's thread: packs slices, writes them, reads them back.
import { basename, dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { MessagePort } from 'node:worker_threads'
import { openDatabase, pragma } from './database.ts'
import { failureOf, freeBytes, isBusy, refusal } from './failure.ts'
import { QUEUE_FORMAT } from './formats.ts'
import { lane } from './lane.ts'
import type { Answer, QueueData, QueueOperations, RequestIn } from './protocol.ts'
import { type PackedSlice, pack, queueFile, totalsOf } from './queue-file.ts'
import type { QueueWritten } from './types.ts'
import { warmLog } from './warm.ts'

type Request = RequestIn<QueueOperations>
/** What the thread asks of itself: a piece of the room that a backlog has taken goes back to the disk. */
type Work = Request | { readonly id: 0; readonly op: 'shrink' }
type RequestOf<O extends Work['op']> = Extract<Work, { op: O }>

/** As for dead letters: a file that has filled its disk to the last byte cannot even be emptied. */
const DISK_BYTES = 8 * 1024 * 1024
/** The log begins anew behind so many pages (4 MiB); it is made longer, so that slices can be removed when the disk is full. */
const CHECKPOINT_PAGES = 256
const WAL_BYTES = 6 * 1024 * 1024
const WARM_MS = 250
/** Free pages (of 16 KiB) that the file keeps, and how many go back at a time. */
const KEPT_PAGES = 2048
const SHRINK_PAGES = 64

const DOING: Readonly<Record<Work['op'], string>> = {
  start: 'read a disk queue',
  write: 'write a disk queue',
  read: 'read a disk queue',
  source: 'read a disk queue',
  shrink: 'write a disk queue',
  close: 'close a disk queue',
}

/** Opens the file, says so (or why not), and serves until `close`. */
export function serveQueue(port: MessagePort, { path, maxBytes, window }: QueueData): void {
  const folder = dirname(path)
  const answer = (message: Answer, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)
  const tell = (message: string) => answer({ kind: 'log', level: 'warn', fields: { file: path }, message })
  const done = (id: number, value: unknown, transfer: ArrayBuffer[] = []) => answer({ kind: 'done', ids: [id], value }, transfer)

  let db: DatabaseSync
  try {
    db = openDatabase(path, QUEUE_FORMAT, false)
    db.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  } catch (error) {
    answer({ kind: 'refused', failure: failureOf(error, folder, 'open a disk queue') })
    port.close()
    return
  }
  const file = queueFile(db, path)
  let totals = totalsOf(db)
  /** The one that had no room: it will come again. */
  let refused: PackedSlice | undefined
  let isShrinking = false
  const warming = setTimeout(() => {
    try {
      warmLog(db, path, WAL_BYTES)
    } catch (error) {
      if (!isBusy(error)) tell(failureOf(error, folder, 'keep room for a full disk').message)
    }
  }, WARM_MS)

  const onFile = lane<Work>(db, {
    group: () => 1,
    run([work]) {
      perform(work as Work)
      return undefined
    },
    failed([work], error) {
      isShrinking = false
      const { id, op } = work as Work
      const failure = failureOf(error, folder, DOING[op])
      if (op === 'shrink') tell(failure.message)
      else answer({ kind: 'failed', ids: [id], failure })
    },
    waiting: () =>
      tell(`state: ${basename(path)} is locked by another program (an open sqlite3 shell?); its output's events wait for it`),
  })
  port.on('message', (request: Request) => (request.op === 'close' ? close(request.id) : onFile(request)))
  answer({ kind: 'opened' })

  function perform(work: Work): void {
    switch (work.op) {
      case 'write':
        done(work.id, write(work))
        shrinkSoon()
        break
      case 'start':
        done(work.id, { ...totals, ...file.ends(), sent: file.sent(window) })
        break
      case 'read':
        read(work)
        break
      case 'source': {
        const { head, source } = file.one(work.slice)
        const bytes = new Uint8Array(source)
        done(work.id, { head: head.toString(), bytes }, [bytes.buffer])
        break
      }
      case 'shrink':
        db.exec(`PRAGMA incremental_vacuum(${SHRINK_PAGES})`)
        isShrinking = false
        shrinkSoon()
        // Only this makes the file shorter.
        if (!isShrinking) db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    }
  }

  function write({ at, add, remove }: RequestOf<'write'>): QueueWritten {
    const packed = add.map(slice => (slice.id === refused?.id ? refused : pack(slice)))
    let { events, bytes } = totals
    let written = 0
    // In the log first, then in the file.
    const needed = packed.reduce((sum, slice) => sum + slice.packed.length, 0)
    if (needed > 0 && freeBytes(folder) < DISK_BYTES + 2 * needed) throw diskFull(folder)
    db.exec('BEGIN IMMEDIATE')
    for (const id of remove) {
      const gone = file.remove(id)
      events -= gone.events
      bytes -= gone.bytes
    }
    for (const slice of packed) {
      if (events > 0 && bytes + slice.packed.length > maxBytes) break
      file.put(slice, at)
      events += slice.events
      bytes += slice.packed.length
      written++
    }
    file.count(events - totals.events, bytes - totals.bytes)
    db.exec('COMMIT')
    refused = packed[written]
    totals = totalsOf(db)
    return { ...totals, written }
  }

  function read({ id, from, bytes }: RequestOf<'read'>): void {
    const found = Array.from(file.read(from, bytes), ({ id, events, head, items }) => ({
      ...{ id, events, head: head.toString() },
      items: new Uint8Array(items),
    }))
    done(
      id,
      found,
      found.map(({ items }) => items.buffer),
    )
  }

  function shrinkSoon(): void {
    const free = pragma(db, 'freelist_count')
    if (isShrinking || free <= KEPT_PAGES || free * 2 < pragma(db, 'page_count')) return
    isShrinking = true
    onFile({ id: 0, op: 'shrink' })
  }

  function close(id: number): void {
    clearTimeout(warming)
    try {
      db.exec('PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(TRUNCATE)')
    } catch (error) {
      // Everything is in the log, which the next start reads.
      tell(failureOf(error, folder, 'tidy up').message)
    }
    db.close()
    done(id, undefined)
    port.close()
  }
}

function diskFull(folder: string): Error {
  return refusal(
    'ENOSPC',
    `state: cannot write a disk queue in ${folder}: no space left on the disk (ENOSPC; its last 8 MiB are kept free): make room there`,
  )
}
