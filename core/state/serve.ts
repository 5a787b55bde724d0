// The store's thread: takes requests, groups them into transactions, answers.
import type { MessagePort } from 'node:worker_threads'
import { PenstockError } from '../plugin/errors.ts'
import { failureOf, isBusy } from './failure.ts'
import { type Files, openFiles, type Tell } from './files.ts'
import { LETTERS_FILE, STATE_FILE } from './folder.ts'
import { lane } from './lane.ts'
import { letters, type Progress } from './letters.ts'
import type { Answer, Operation, PositionText, Request, RequestOf, RowText, StoreData } from './protocol.ts'
import { dropQueue, queueInfos } from './queue-folder.ts'
import { records } from './records.ts'
import { warm } from './warm.ts'

/** A transaction takes on further calls up to this many characters or bytes: its pages must fit into the room that is kept for it. */
const GROUP_SIZE = 1024 * 1024
/** Pause between the steps of a long removal beside an engine, so that the engine's turn comes. Milliseconds. */
const BESIDE_PAUSE_MS = 15
/** After so many transactions the room that is kept for a full disk is looked after. */
const WARM_EVERY = 1000
const WARM_RETRY_MS = 1000
/** It is taken for the first time after so long: a start, and a short run, need not wait for it. */
const WARM_FIRST_MS = 250

const DOING: Readonly<Record<Operation, string>> = {
  commit: 'save positions',
  positions: 'read positions',
  allPositions: 'read positions',
  scopes: 'read rows',
  get: 'read rows',
  list: 'read rows',
  reset: 'reset positions',
  add: 'write dead letters',
  letters: 'read dead letters',
  counts: 'count dead letters',
  mark: 'mark dead letters',
  remove: 'remove dead letters',
  queues: 'read disk queues',
  dropQueue: 'reset a disk queue',
  close: 'close the files',
}

/** Opens the files, says so (or why not), and serves until `close`. */
export function serve(port: MessagePort, data: StoreData): void {
  const { folder, beside } = data
  const answer = (message: Answer, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)
  const tell: Tell = (level, fields, message) => answer({ kind: 'log', level, fields, message })
  const failed = (requests: readonly Request[], error: unknown) => {
    const failure = failureOf(error, folder, DOING[requests[0]?.op ?? 'commit'])
    answer({ kind: 'failed', ids: requests.map(({ id }) => id), failure })
  }

  let files: Files
  try {
    files = openFiles(data, tell)
  } catch (error) {
    answer({ kind: 'refused', failure: failureOf(error, folder, 'open the files') })
    port.close()
    return
  }
  const { state, release } = files
  const table = records(state)
  const box = letters(files.letters, folder, data.maxLetterBytes)
  const progress = new Map<number, Progress>()
  let transactions = 0
  let hasRoom = true
  const firstRoom = beside ? undefined : setTimeout(takeRoom, WARM_FIRST_MS)

  const onState = lane<Request>(state, {
    group: queue =>
      countWhile(queue, 'commit', ({ text, blobs }) => blobs.reduce((sum, { length }) => sum + length, text.length)),
    run(requests) {
      const [first] = requests as [Request]
      if (first.op === 'commit') {
        commit(requests as readonly RequestOf<'commit'>[])
        if (++transactions % WARM_EVERY === 0) takeRoom()
      } else answer({ kind: 'done', ids: [first.id], value: onRecords(first) })
      return undefined
    },
    failed,
    waiting: () =>
      tell(
        'warn',
        { folder },
        `state: ${STATE_FILE} is locked by another program (an open sqlite3 shell?); positions wait for it`,
      ),
  })

  const onLetters = lane<Request>(files.letters, {
    group: queue => countWhile(queue, 'add', ({ letters }) => letters.reduce((sum, { bytes }) => sum + bytes.length, 0)),
    run(requests) {
      const [first] = requests as [Request]
      if (first.op === 'add') add(requests as readonly RequestOf<'add'>[])
      else if (first.op === 'mark' || first.op === 'remove') return step(first)
      else if (first.op === 'letters') {
        const value = box.list(first.filter)
        answer(
          { kind: 'done', ids: [first.id], value },
          value.map(({ bytes }) => bytes.buffer),
        )
      } else answer({ kind: 'done', ids: [first.id], value: box.counts() })
      return undefined
    },
    failed(requests, error) {
      for (const { id } of requests) progress.delete(id)
      failed(requests, error)
    },
    waiting: () =>
      tell(
        'warn',
        { folder },
        `state: ${LETTERS_FILE} is locked by another program (an open sqlite3 shell?); dead letters wait for it`,
      ),
  })

  port.on('message', (request: Request) => {
    if (request.op === 'close') close(request.id)
    else if (['add', 'letters', 'counts', 'mark', 'remove'].includes(request.op)) onLetters(request)
    else onState(request)
  })
  answer({ kind: 'opened' })

  function commit(requests: readonly RequestOf<'commit'>[]): void {
    state.exec('BEGIN IMMEDIATE')
    for (const { text, blobs, at } of requests) {
      const [positions, rows] = JSON.parse(text) as [PositionText[], RowText[]]
      table.apply(positions, rows, blobs, new Date(at).toISOString())
    }
    state.exec('COMMIT')
    answer({ kind: 'done', ids: requests.map(({ id }) => id) })
  }

  function onRecords(request: Request): unknown {
    switch (request.op) {
      case 'positions':
        return table.positions(request.pipeline, request.input)
      case 'get':
        return table.get(request.scope, request.key)
      case 'list':
        return table.list(request.scope, request.prefix, request.after, request.limit)
      case 'reset': {
        state.exec('BEGIN IMMEDIATE')
        const gone = table.reset(request.pipeline, request.step)
        state.exec('COMMIT')
        return gone
      }
      case 'scopes':
        return table.scopes()
      case 'queues':
        return queueInfos(folder)
      case 'dropQueue':
        return dropQueue(folder, request.pipeline, request.output)
      default:
        return table.allPositions()
    }
  }

  /** Those that fit go in together; one that does not is refused for itself. */
  function add(requests: readonly RequestOf<'add'>[]): void {
    const done: number[] = []
    const refused: [Request, unknown][] = []
    files.letters.exec('BEGIN IMMEDIATE')
    for (const request of requests) {
      try {
        box.add(request.letters, new Date(request.at).toISOString())
        done.push(request.id)
      } catch (error) {
        if (!(error instanceof PenstockError)) throw error
        refused.push([request, error])
      }
    }
    files.letters.exec('COMMIT')
    if (done.length > 0) answer({ kind: 'done', ids: done })
    for (const [request, error] of refused) failed([request], error)
  }

  function step(request: RequestOf<'mark' | 'remove'>): number | undefined {
    const soFar = progress.get(request.id) ?? box.start(request.filter)
    progress.set(request.id, soFar)
    if (!box.step(request.op, request.filter, soFar)) return beside ? BESIDE_PAUSE_MS : 0
    progress.delete(request.id)
    answer({ kind: 'done', ids: [request.id], value: soFar.count })
    return undefined
  }

  function takeRoom(): void {
    clearTimeout(firstRoom)
    try {
      const hadRoom = hasRoom
      hasRoom = warm(folder, state, files.letters)
      if (hadRoom && !hasRoom) {
        tell(
          'warn',
          { folder },
          `state: the disk of ${folder} is nearly full: no room is kept for positions to be saved when it is`,
        )
      }
    } catch (error) {
      if (isBusy(error)) setTimeout(takeRoom, WARM_RETRY_MS).unref()
      else tell('warn', { folder }, failureOf(error, folder, 'keep room for a full disk').message)
    }
  }

  function close(id: number): void {
    clearTimeout(firstRoom)
    for (const db of [state, files.letters]) {
      try {
        db.exec(`PRAGMA busy_timeout = 1000; PRAGMA wal_checkpoint(${beside ? 'PASSIVE' : 'TRUNCATE'})`)
      } catch (error) {
        // Everything is in the logs, which the next start reads.
        tell('warn', { folder }, failureOf(error, folder, 'tidy up').message)
      }
      db.close()
    }
    release()
    answer({ kind: 'done', ids: [id] })
    port.close()
  }
}

/** How many requests from the first one on are of this operation and fit into one transaction; 1 when the first is of another. */
function countWhile<O extends 'commit' | 'add'>(
  queue: readonly Request[],
  op: O,
  size: (request: RequestOf<O>) => number,
): number {
  let count = 0
  let total = 0
  for (const request of queue) {
    if (request.op !== op) break
    total += size(request as RequestOf<O>)
    if (count > 0 && total > GROUP_SIZE) break
    count++
  }
  return Math.max(1, count)
}
