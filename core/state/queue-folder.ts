// The disk queues of a state folder: what lies in each, and how one is forgotten.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { asError, errorCode } from '../plugin/errors.ts'
import { openDatabase } from './database.ts'
import { QUEUE_NAME, queueNames, SUFFIXES } from './folder.ts'
import { QUEUE_FORMAT } from './formats.ts'
import { totalsOf } from './queue-file.ts'
import type { QueueInfo } from './types.ts'

/** Two pipelines of one folder may have outputs of the same name. */
export function queuePath(folder: string, pipeline: string, output: string): string {
  return join(folder, `queue-${pipeline}.${output}.db`)
}

/** What lies in each queue, read beside whoever has it open. */
export function queueInfos(folder: string): QueueInfo[] {
  return queueNames(folder).map(name => {
    const [, pipeline = '', output = ''] = QUEUE_NAME.exec(name) ?? []
    try {
      const db = openDatabase(join(folder, name), QUEUE_FORMAT, true)
      try {
        return { pipeline, output, ...totalsOf(db) }
      } finally {
        db.close()
      }
    } catch (error) {
      const empty = { pipeline, output, events: 0, bytes: 0 }
      // A start that was cut off before its first transaction.
      if (errorCode(asError(error)) === 'PEN_STATE_MISSING') return empty
      return { ...empty, why: asError(error).message }
    }
  })
}

/** Deletes an output's queue; gives how many events lay in it. Nobody may have it open. */
export function dropQueue(folder: string, pipeline: string, output: string): number {
  const found = queueInfos(folder).find(info => info.pipeline === pipeline && info.output === output)
  const path = queuePath(folder, pipeline, output)
  // The file last: while it is there, so is everything that can be read of it.
  for (const suffix of SUFFIXES.toReversed()) rmSync(path + suffix, { force: true })
  return found?.events ?? 0
}
