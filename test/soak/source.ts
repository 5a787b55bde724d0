// The soak's source: a log that is written at a changing rate and rotated, with a line now and then that is no record.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Lines a second, one after the other. */
const RATES = [100, 600, 1_500, 20, 800, 0, 300]
const RATE_MS = 7_000
const ROTATE_MS = 11_000
const TICK_MS = 50
/** Every so-manyth line is torn. */
const TORN_EVERY = 997

export interface Source {
  /** Lines that were written; they are numbered from 0. */
  readonly written: number
  readonly rotations: number
  /** Removes rotated files of which every line is `done`. */
  tidy(done: (line: number) => boolean): void
  /** Writes no more. */
  stop(): void
}

export function idOf(line: number): string {
  return `soak-${line}`
}

/** The number of the line that a text is or holds; -1 when it holds none. */
export function lineOf(text: string): number {
  return Number(/soak-(\d+)/.exec(text)?.[1] ?? -1)
}

/** Writes `app.log` in the folder. */
export function startSource(folder: string): Source {
  mkdirSync(folder)
  const path = join(folder, 'app.log')
  const begun = performance.now()
  let handle = openSync(path, 'a')
  let written = 0
  let owed = 0
  let last = begun
  let rotated = begun
  let rotations = 0
  let first = 0
  const old: { path: string; from: number; to: number }[] = []

  const text = (line: number): string => {
    const record = JSON.stringify({
      Id: idOf(line),
      CreationTime: new Date(Date.UTC(2026, 4, 1) + line * 1_000).toISOString().slice(0, 19),
      Operation: ['FileAccessed', 'MailItemsAccessed', 'UserLoggedIn', 'FileModified'][line % 4],
      RecordType: 6,
      Workload: 'OneDrive',
      UserId: `user${line % 500}@contoso.example`,
      ClientIP: `192.0.2.${line % 250}`,
      ObjectId: 'x'.repeat(line % 300),
    })
    return line % TORN_EVERY === TORN_EVERY - 1 ? `${record.slice(0, 60)}\n` : `${record}\n`
  }

  const rotate = (now: number) => {
    rotated = now
    rotations++
    const to = `${path}.${rotations}`
    renameSync(path, to)
    fsyncSync(handle)
    closeSync(handle)
    handle = openSync(path, 'a')
    old.push({ path: to, from: first, to: written })
    first = written
  }

  const timer = setInterval(() => {
    const now = performance.now()
    const rate = RATES[Math.floor((now - begun) / RATE_MS) % RATES.length] as number
    owed += ((now - last) / 1_000) * rate
    last = now
    let block = ''
    for (; owed >= 1; owed--) block += text(written++)
    if (block) writeSync(handle, block)
    if (now - rotated >= ROTATE_MS) rotate(now)
  }, TICK_MS)

  return {
    get written() {
      return written
    },
    get rotations() {
      return rotations
    },
    tidy(done) {
      for (let file = old[0]; file; file = old[0]) {
        for (let line = file.from; line < file.to; line++) if (!done(line)) return
        unlinkSync(file.path)
        old.shift()
      }
    },
    stop() {
      clearInterval(timer)
      closeSync(handle)
    },
  }
}
