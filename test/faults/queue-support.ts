// What lies in the disk queues of a program that was killed.
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { queueFile } from '../../core/state/queue-file.ts'
import type { Output } from '../kit/ledger.ts'

/** Lines in a queue's file, read from a copy: the file itself stays as the kill left it. */
export function queued(state: string, output: Output): string[] {
  const name = `queue-killed.${output}.db`
  if (!existsSync(join(state, name))) return []
  const copy = mkdtempSync(join(tmpdir(), 'penstock-queue-'))
  try {
    for (const suffix of ['', '-wal', '-journal'])
      if (existsSync(join(state, name + suffix))) copyFileSync(join(state, name + suffix), join(copy, name + suffix))
    const db = new DatabaseSync(join(copy, name))
    try {
      if (!db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'slices'").get()) return []
      return Array.from(queueFile(db, name).read(0, Number.POSITIVE_INFINITY), ({ items }) => items.toString())
        .join('')
        .split('\n')
        .filter(Boolean)
    } finally {
      db.close()
    }
  } finally {
    rmSync(copy, { recursive: true })
  }
}
