// The file output is killed with -9 while it writes, again and again: what was confirmed is there, and no reader sees half a line.
import { spawn } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import t from 'tap'
import { randomOf, rounds } from '../kit/rounds.ts'
import { unpacked } from './file-output-support.ts'

const child = join(import.meta.dirname, 'file-output-child.ts')

/** Runs until two batches are confirmed and `ms` are over, and kills; without `ms` to its end. Resolves to the last confirmed number. */
async function run(dir: string, compression: string, start: number, ms?: number) {
  const env = { ...process.env, START: String(start) }
  const mode = ms === undefined ? 'few' : 'loop'
  const running = spawn(process.execPath, [child, dir, mode, compression], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  running.stderr.on('data', data => {
    log += data
  })
  const ended = new Promise(done => running.on('close', done))
  let confirmed = start
  let seen = 0
  for await (const line of createInterface(running.stdout)) {
    confirmed = Number(line.split(' ')[1])
    if (++seen === 2 && ms !== undefined) setTimeout(() => running.kill('SIGKILL'), ms)
  }
  await ended
  return { confirmed, log }
}

for (const [compression, kills] of [
  ['none', rounds(40)],
  ['gzip', rounds(10)],
  ['zstd', rounds(10)],
] as const) {
  t.test(
    `row 65: the file output is killed while it writes (${compression}): nothing confirmed is lost and nothing is torn`,
    async t => {
      const dir = t.testdir()
      const path = join(dir, 'a.ndjson')
      const random = randomOf(700)
      let confirmed = 0
      let torn: number | undefined
      for (let round = 0; round <= kills; round++) {
        const before = confirmed
        const result = await run(dir, compression, confirmed, round < kills ? random() * 5 : undefined)
        confirmed = result.confirmed
        t.ok(confirmed > before)
        if (torn !== undefined) t.match(result.log, `file: cut ${torn} bytes of an unfinished line`)
        if (round === kills) break
        // A kill seldom hits the middle of a write: half of one more is put there.
        const whole = await fs.readFile(path).catch(() => undefined)
        torn = undefined
        // Killed between the renaming of a full file and the making of the next one.
        if (!whole) continue
        const half = whole.subarray(0, 17)
        torn = compression === 'none' ? whole.length - whole.lastIndexOf(10) - 1 + half.length : undefined
        await fs.appendFile(path, half)
      }

      const found = new Set<number>()
      for (const name of (await fs.readdir(dir)).filter(name => name.endsWith('.ndjson'))) {
        const lines = unpacked(await fs.readFile(join(dir, name)), compression).split('\n')
        t.equal(lines.pop(), '')
        for (const line of lines) found.add((JSON.parse(line) as { n: number }).n)
      }
      const missing = Array.from({ length: confirmed }, (_, n) => n).filter(n => !found.has(n))
      t.strictSame(missing, [], `of ${confirmed}`)
    },
  )
}
