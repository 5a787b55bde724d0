// A queue of requests on one file: what comes while a transaction is under way becomes the next one.
import type { DatabaseSync } from 'node:sqlite'
import { isBusy, isFull } from './failure.ts'

/** How often a lock that another program holds is asked for, after how long that is worth a line, how long it may last. Milliseconds. */
const BUSY_RETRY_MS = 5
const BUSY_TOLD_MS = 1000
const BUSY_LIMIT_MS = 30_000

export interface LaneWork<R> {
  /** How many of the first requests become one transaction. At least 1. */
  group(queue: readonly R[]): number
  /** Does them and answers them; a number asks for another call with the same requests after so many milliseconds. */
  run(requests: readonly R[]): number | undefined
  /** They failed for good: answers them. Nothing of them is in the file. */
  failed(requests: readonly R[], error: unknown): void
  /** Another program's lock holds them up. */
  waiting(): void
}

/** Runs requests on a file, in order and one group at a time; the returned function takes one on. */
export function lane<R>(db: DatabaseSync, { group, run, failed, waiting }: LaneWork<R>): (request: R) => void {
  const queue: R[] = []
  let scheduled = false
  let busySince: number | undefined
  let isTold = false
  let isSecondTry = false

  /** When to go on; undefined when the first group is done, well or badly. */
  function turn(requests: readonly R[]): number | undefined {
    try {
      const pause = run(requests)
      busySince = undefined
      isSecondTry = false
      return pause
    } catch (error) {
      rollBack(db)
      if (isBusy(error)) {
        busySince ??= performance.now()
        const waited = performance.now() - busySince
        if (waited > BUSY_TOLD_MS && !isTold) {
          isTold = true
          waiting()
        }
        if (waited < BUSY_LIMIT_MS) return BUSY_RETRY_MS
      }
      // With all of the log in the file, the log begins anew and needs no more room than it has.
      if (isFull(error) && !isSecondTry && checkpoint(db)) {
        isSecondTry = true
        return 0
      }
      failed(requests, error)
      return undefined
    }
  }

  function next(): void {
    const requests = queue.slice(0, group(queue))
    const pause = turn(requests)
    if (pause !== undefined) {
      setTimeout(next, pause)
      return
    }
    busySince = undefined
    isTold = isSecondTry = false
    queue.splice(0, requests.length)
    // Not in this turn: the requests that were posted meanwhile have to arrive first, to go into one transaction.
    if (queue.length > 0) setImmediate(next)
    else scheduled = false
  }

  return request => {
    queue.push(request)
    if (scheduled) return
    scheduled = true
    setImmediate(next)
  }
}

function rollBack(db: DatabaseSync): void {
  if (db.isTransaction) db.exec('ROLLBACK')
}

/** Moves the log into the file as far as readers let it. False when that failed. */
function checkpoint(db: DatabaseSync): boolean {
  try {
    db.exec('PRAGMA wal_checkpoint(PASSIVE)')
    return true
  } catch {
    return false
  }
}
