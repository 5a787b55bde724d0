// Whatever part of what the file input gave is settled when it stops: a new start gives each of the other records, and none twice.
import { createHash } from 'node:crypto'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import type { Chunk, Codec } from '../../core/plugin/interfaces.ts'
import csv from '../../plugins/codecs/csv.ts'
import json from '../../plugins/codecs/json.ts'
import plainLines from '../../plugins/codecs/lines.ts'
import { joined, numbered, readAll, recordsOf, type Stored, settle } from './file-input-support.ts'

async function codec(plugin: typeof csv, options = {}): Promise<Codec> {
  return plugin.create((await completeOptions(plugin, options, '/')) as never, {} as never)
}

/** Decoded records of chunks, faults as text. */
function decoded(chunks: readonly Chunk[], { decode }: Codec): string[] {
  return chunks.flatMap(chunk => [
    ...recordsOf(chunk).map(record => {
      try {
        return JSON.stringify(decode(Buffer.from(record), chunk.meta ?? {}))
      } catch (error) {
        return `bad: ${(error as Error).message}`
      }
    }),
    ...(chunk.faults ?? []).map(({ code, offset, length }) => `${code} ${offset} ${length}`),
  ])
}

/** Records of some 400 bytes that do not compress away. */
function large(count: number, from = 0): string[] {
  return numbered(count, from).map((record, i) =>
    record.replace(
      '}',
      `,"hash":"${createHash('sha512')
        .update(`${from + i}`)
        .digest('hex')
        .repeat(2)}"}`,
    ),
  )
}

const records = large(1500)
const text = joined(records)
const table = `n,text\n${records.map((record, i) => `${i},"two\nlines ${record.replaceAll('"', '""')}"\n`).join('')}`
const half = text.length >> 1
const part = joined(large(500))
const damaged = gzipSync(part)
damaged.fill(0x55, damaged.length >> 1, (damaged.length >> 1) + 3000)
const cases: [name: string, content: string | Buffer, codec: () => Promise<Codec>][] = [
  ['plain', text, () => codec(plainLines)],
  ['without a last newline', text.slice(0, -1), () => codec(plainLines)],
  ['with a mark', `\ufeff${text}`, () => codec(plainLines)],
  ['utf-16', Buffer.from(`\ufeff${text}`, 'utf16le'), () => codec(plainLines)],
  ['gzip members', Buffer.concat([gzipSync(text.slice(0, half)), gzipSync(text.slice(half))]), () => codec(plainLines)],
  ['zstd', zstdCompressSync(text), () => codec(plainLines)],
  ['damaged gzip', Buffer.concat([gzipSync(part), damaged, gzipSync(part), Buffer.from('garbage')]), () => codec(plainLines)],
  ['gzip that is cut off', gzipSync(text).subarray(0, -30_000), () => codec(plainLines)],
  ['csv', table, () => codec(csv)],
  ['compressed csv', gzipSync(table), () => codec(csv)],
  ['json array', `[${records.join(',\n')}]`, () => codec(json)],
]

for (const [name, content, create] of cases) {
  t.test(`${name}: resumed behind every chunk, each record comes once`, async t => {
    const folder = t.testdir({})
    writeFileSync(join(folder, 'a'), content)
    const codec = await create()
    const { chunks } = await readAll(t, folder, { paths: 'a' }, { codec })
    const all = decoded(chunks, codec)
    t.ok(chunks.length > 3 && all.length > 1000, `${chunks.length} chunks`)
    for (let settled = 0; settled <= chunks.length; settled++) {
      const stored: Stored = new Map()
      for (const chunk of chunks.slice(0, settled)) settle(stored, chunk)
      const rest = await readAll(t, folder, { paths: 'a' }, { codec, stored })
      const both = [...decoded(chunks.slice(0, settled), codec), ...decoded(rest.chunks, codec)]
      if (both.join() !== all.join())
        t.fail(`${settled} of ${chunks.length} chunks settled: ${both.length} instead of ${all.length}`)
    }
  })
}

t.test('several files, each settled to another place, and grown since: each record comes once', async t => {
  const folder = t.testdir({})
  const path = (i: number) => join(folder, `${i}.log`)
  const expected: string[] = []
  for (let i = 0; i < 4; i++) {
    writeFileSync(path(i), joined(large(1000, i * 100_000)))
    expected.push(...large(1100, i * 100_000))
  }
  const { chunks } = await readAll(t, folder, { paths: '*' })
  for (let i = 0; i < 4; i++) appendFileSync(path(i), joined(large(100, i * 100_000 + 1000)))
  const partitions = [...new Set(chunks.map(({ partition = '' }) => partition))]
  t.equal(partitions.length, 4)
  for (let round = 0; round < 20; round++) {
    const stored: Stored = new Map()
    const got: string[] = []
    for (const partition of partitions) {
      const own = chunks.filter(chunk => chunk.partition === partition)
      const pick = createHash('md5').update(`${round} ${partition}`).digest()[0] as number
      for (const chunk of own.slice(0, pick % (own.length + 1))) {
        settle(stored, chunk)
        got.push(...recordsOf(chunk))
      }
    }
    got.push(...(await readAll(t, folder, { paths: '*' }, { stored })).records)
    if (got.sort().join() !== [...expected].sort().join()) t.fail(`round ${round}: ${got.length} of ${expected.length}`)
  }
})

t.test('a device number that changed does not make a file another one', async t => {
  const folder = t.testdir({ 'a.log': joined(numbered(100)) })
  const { stored } = await readAll(t, folder, { paths: '*' })
  for (const [partition, position] of stored) stored.set(partition, { ...(position as object), dev: '99' })
  const run = await readAll(t, folder, { paths: '*' }, { stored })
  t.same(run.records, [])
  t.equal(run.stored.size, 1)
})

t.test('positions that are not of this input, or of another version, are left alone and the files read', async t => {
  const folder = t.testdir({ 'a.log': '1\n' })
  const stored: Stored = new Map<string, never>(Object.entries({ x: 7, y: null, z: { path: 3 } }) as never)
  t.same((await readAll(t, folder, { paths: '*' }, { stored })).records, ['1'])
})
