// Exported files that a crash, a full disk or a power cut has torn: whole again after the next start, and nothing confirmed is lost.
import { spawn } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import t from 'tap'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import { formatOf } from '../../plugins/lib/export/format.ts'
import { layoutOf } from '../../plugins/lib/export/layout.ts'
import { FileSet } from '../../plugins/outputs/file/file-set.ts'
import type { Compression } from '../../plugins/outputs/file/members.ts'
import { full, randomOf, rounds } from '../kit/rounds.ts'
import { awkward, type Form, formOptions, narrowDisk, opened, recordsOf } from './file-export-support.ts'
import { deliver, encoded, fakeContext } from './file-output-support.ts'

const FORMS: readonly Form[] = ['json', 'csv']
const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'zstd']

/** Every byte where a batch begins and ends, and in a full run also in between. */
const step = (from: number, left: number) => (full || from < 50 || left < 50 ? 1 : 9)

/** What a file was before and after a batch, and the rows that a killed process leaves. */
async function batchOf(dir: string, form: Form, compression: Compression, before: number) {
  const options = { path: 'a', ...formOptions(form), compression }
  const { output, context } = await opened(options, dir)
  for (let n = 0; n < before; n++) await deliver(output, awkward(n * 3, n * 3 + 3))
  const path = join(dir, 'a')
  const old = await fs.readFile(path).catch(() => Buffer.alloc(0))
  await deliver(output, awkward(before * 3, before * 3 + 3))
  const left = new Map(structuredClone([...context.stored]))
  await output.close?.()
  const now = await fs.readFile(path)
  const close = layoutOf(formatOf(formOptions(form) as never), compression).close.length
  return { options, path, old, now, left, start: old.length === 0 ? 0 : old.length - close }
}

for (const form of FORMS) {
  for (const compression of COMPRESSIONS) {
    t.test(`row 65: ${form}, ${compression}: killed at any byte of a batch, the next start makes the file whole`, async t => {
      const dir = t.testdir()
      for (const before of full ? [0, 1, 3] : [0, 2]) {
        await fs.rm(join(dir, 'a'), { force: true })
        const { options, path, old, now, left, start } = await batchOf(dir, form, compression, before)
        for (let at = start; at <= now.length; at += step(at - start, now.length - at)) {
          await fs.writeFile(path, Buffer.concat([now.subarray(0, at), old.subarray(at)]))
          const { output } = await opened(options, dir, new Map(left))
          const mended = await fs.readFile(path)
          const found = mended.length === 0 ? [] : recordsOf(mended, form, compression)
          const many = found.length
          if (many < before * 3 || many > before * 3 + 3) t.fail(`${many} records at byte ${at}, ${before} batches before`)
          await deliver(output, awkward(500, 502))
          await output.close?.()
          const all = recordsOf(await fs.readFile(path), form, compression)
          t.strictSame(all, [...awkward(0, many), ...awkward(500, 502)], `at byte ${at}, ${before} batches before`)
          t.strictSame(await fs.readdir(dir), ['a'], 'it is the same file')
        }
      }
    })

    t.test(`${form}, ${compression}: a batch that fails at any byte is taken back, and the next try goes through`, async t => {
      const dir = t.testdir()
      const path = join(dir, 'a')
      const options = { columns: undefined, ...formOptions(form) } as never
      for (const before of [0, 2]) {
        for (let room = 0; ; room += 1 + (room % 4)) {
          await fs.rm(path, { force: true })
          const narrow = narrowDisk()
          const layout = layoutOf(formatOf(options), compression)
          const context = fakeContext()
          const settings = { base: dir, chosen: false, compression, layout, rotateBytes: undefined, rotateMs: undefined }
          const files = new FileSet({ ...settings, fsync: true, mode: 0o640, maxOpen: 4 }, context, narrow.disk)
          const { output } = await opened({ path: 'unused', ...formOptions(form) }, dir)
          const write = (from: number, to: number) =>
            files.write([
              {
                path,
                items: encoded(output, awkward(from, to)),
                refuse(error) {
                  throw error
                },
              },
            ])
          for (let n = 0; n < before; n++) await write(n, n + 1)
          narrow.room = room
          const failed = await write(before, before + 3).then(
            () => false,
            (error: Error) => /^file: ENOSPC writing/.test(error.message),
          )
          // Not even the closing bracket can be put back now: that is owed, and done before the next write.
          narrow.room = Number.POSITIVE_INFINITY
          await write(before, before + 3)
          await files.close()
          await output.close?.()
          const found = recordsOf(await fs.readFile(path), form, compression)
          t.strictSame(
            found,
            awkward(0, before + 3).concat(failed ? [] : awkward(before, before + 3)),
            `with room for ${room} bytes`,
          )
          if (!failed) break
        }
      }
    })
  }

  t.test(`row 65: ${form}: pages that a power cut left out are no records, and what follows them neither`, async t => {
    const dir = t.testdir()
    const { options, path, old, now, left, start } = await batchOf(dir, form, 'none', 2)
    // The page with the old end was kept as it was; the page behind it got to the disk.
    const torn = [
      Buffer.concat([now.subarray(0, start + 4), Buffer.alloc(8), now.subarray(start + 12)]),
      Buffer.concat([old, Buffer.alloc(now.length - old.length)]),
      Buffer.concat([old, now.subarray(old.length)]),
    ]
    for (const [index, bytes] of torn.entries()) {
      // The last one is what the CSV file should be.
      if (form === 'csv' && index === 2) continue
      await fs.writeFile(path, bytes)
      const { output } = await opened(options, dir, new Map(left))
      await deliver(output, awkward(500, 502))
      await output.close?.()
      t.strictSame(recordsOf(await fs.readFile(path), form), [...awkward(0, 6), ...awkward(500, 502)], `case ${index}`)
    }
  })
}

t.test('a file that was torn in one form is mended in it before another takes its name', async t => {
  const dir = t.testdir()
  const { path, old, now, left, start } = await batchOf(dir, 'json', 'none', 2)
  await fs.writeFile(path, Buffer.concat([now.subarray(0, start + 9), old.subarray(start + 9)]))
  const { output } = await opened({ path: 'a', ...formOptions('csv') }, dir, new Map(left))
  await deliver(output, awkward(0, 2))
  await output.close?.()
  t.strictSame(recordsOf(await fs.readFile(path), 'csv'), awkward(0, 2))
  t.strictSame(recordsOf(await fs.readFile(join(dir, 'a.20260501T101530Z-0001')), 'json'), awkward(0, 6))
})

t.test('the rows that an earlier version left, which knows lines alone, are read', async t => {
  const dir = t.testdir({ a: '{"n":1}\n{"n"' })
  const { ino } = await fs.stat(join(dir, 'a'))
  const left = new Map<string, Json>([['open', [[join(dir, 'a'), String(ino), 0, 'none']]]])
  const { output, context } = await opened({ path: 'a' }, dir, left)
  await deliver(output, [{ n: 2 }])
  await output.close?.()
  t.equal(await fs.readFile(join(dir, 'a'), 'utf8'), '{"n":1}\n{"n":2}\n')
  t.match(context.lines.join(), /cut 4 bytes of an unfinished line/)
})

t.test(
  'of a long file only what came last is read after a crash',
  { skip: full ? false : 'writes 260 MiB; in a full run' },
  async t => {
    const dir = t.testdir()
    const { output, context } = await opened({ path: 'a', ...formOptions('csv') }, dir)
    const records = Array.from({ length: 16 }, (_, n) => ({ n, text: `${'x'.repeat(1_000_000)}\n` }))
    for (let n = 0; n < 18; n++) await deliver(output, records)
    const [[, , base]] = context.stored.get('open') as unknown as [[string, string, number]]
    t.ok(base > 256 * 1024 * 1024, `read from ${base} on`)
    await output.close?.()
  },
)

const child = join(import.meta.dirname, 'file-export-child.ts')

/** Runs until two batches are confirmed and `ms` are over, and kills it. Resolves to the last confirmed number. */
async function run(dir: string, options: JsonObject, start: number, ms: number): Promise<number> {
  const args = [child, dir, JSON.stringify(options), String(start)]
  const running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise(done => running.on('close', done))
  let confirmed = start
  let seen = 0
  for await (const line of createInterface(running.stdout)) {
    confirmed = Number(line)
    if (++seen === 2) setTimeout(() => running.kill('SIGKILL'), ms)
  }
  await ended
  return confirmed
}

for (const form of FORMS) {
  for (const compression of COMPRESSIONS) {
    t.test(
      `row 65: ${form}, ${compression}: killed while it writes, nothing confirmed is lost and every file is whole`,
      async t => {
        const dir = t.testdir()
        const options = { path: 'a', ...formOptions(form), compression, rotate_bytes: 400_000 }
        const random = randomOf(710)
        let confirmed = 0
        for (let round = 0; round < rounds(20); round++) {
          const before = confirmed
          confirmed = await run(dir, options, confirmed, random() * 5)
          t.ok(confirmed > before)
        }
        const left = new Map(JSON.parse(await fs.readFile(join(dir, 'rows.json'), 'utf8')) as [string, Json][])
        const { output } = await opened(options, dir, left)
        await output.close?.()
        const found = new Set<number>()
        for (const name of (await fs.readdir(dir)).filter(name => name.startsWith('a')))
          for (const { n } of recordsOf(await fs.readFile(join(dir, name)), form, compression)) found.add(n as number)
        const missing = Array.from({ length: confirmed }, (_, n) => n).filter(n => !found.has(n))
        t.strictSame(missing, [], `of ${confirmed}`)
      },
    )
  }
}
