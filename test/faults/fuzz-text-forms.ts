// Encodings, and the whole way from a file's bytes to its records, as targets of the fuzzer.
import assert from 'node:assert/strict'
import ndjson from '../../plugins/codecs/ndjson.ts'
import { createBuffers, openContent } from '../../plugins/inputs/file/content.ts'
import { examine } from '../../plugins/inputs/file/form.ts'
import { type Damage, isDamage } from '../../plugins/lib/bytes/damage.ts'
import { detectEncoding, utf16ToUtf8 } from '../../plugins/lib/bytes/encoding.ts'
import { type ByteSource, memorySource } from '../../plugins/lib/bytes/source.ts'
import { BYTE_TOKENS, pieces, type Random, TEXT_TOKENS } from '../kit/mutate.ts'
import { segmentsOf, slowSource } from './fuzz-packed.ts'
import type { Target } from './fuzz-target.ts'
import { checkStream, same } from './fuzz-text.ts'

type Utf16 = 'utf-16le' | 'utf-16be'

/** What the platform's own decoder makes of whole units. */
function reference(bytes: Buffer, encoding: Utf16): string {
  return new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes.subarray(0, bytes.length & ~1))
}

function transcode(bytes: Buffer, encoding: Utf16, sizes: readonly number[]): { text: Buffer; rest: Buffer } {
  const transcoder = utf16ToUtf8(encoding)
  const parts: Buffer[] = []
  let at = 0
  for (const size of sizes) {
    const piece = Buffer.from(bytes.subarray(at, at + size))
    parts.push(Buffer.from(transcoder.push(piece)))
    piece.fill(0x23)
    at += size
  }
  const { text, rest } = transcoder.end()
  return { text: Buffer.concat([...parts, text]), rest }
}

function checkUtf16(input: Buffer, random: Random): void {
  for (const encoding of ['utf-16le', 'utf-16be'] as const) {
    const expected = reference(input, encoding)
    for (const sizes of [[input.length], pieces(random, input.length)]) {
      const { text, rest } = transcode(input, encoding, sizes)
      same(text.toString(), expected, `${encoding} in pieces of ${sizes.slice(0, 20)} bytes`)
      assert.deepEqual([...rest], [...input.subarray(input.length & ~1)], 'half a unit is told')
    }
  }
  const { encoding, bom } = detectEncoding(input)
  const mark = { 'utf-8': 'efbbbf', 'utf-16le': 'fffe', 'utf-16be': 'feff' }[encoding]
  assert.ok(bom === 0 || input.toString('hex', 0, bom) === mark)
  assert.ok(bom > 0 || !input.toString('hex', 0, 3).startsWith(mark), 'a mark is no text')
}

async function contentOf(
  source: ByteSource,
): Promise<{ text: Buffer; damages: Damage[]; encoding: string; compression: string }> {
  const { form } = await examine(source, { compression: 'auto', encoding: 'auto' })
  const content = openContent(source, form, createBuffers(1))
  const parts: Uint8Array[] = []
  const damages: Damage[] = []
  const take = (piece: Uint8Array | Damage) => void (isDamage(piece) ? damages.push(piece) : parts.push(Buffer.from(piece)))
  for (let piece = await content.next(); piece !== undefined; piece = await content.next()) take(piece)
  for (const piece of content.end()) take(piece)
  await content.close()
  return { text: Buffer.concat(parts), damages, ...form }
}

/** A file's bytes, unpacked and transcoded as the input does it, are the text that its parts have, with the same damages. */
async function checkFile(input: Buffer, random: Random): Promise<void> {
  const { text, damages, encoding, compression } = await contentOf(memorySource(input))
  const segments = compression === 'none' ? [{ text: input }] : await segmentsOf(compression as 'gzip', memorySource(input))
  if (compression !== 'none') {
    const again = await contentOf(slowSource(input, random))
    same(again.text.toString('latin1'), text.toString('latin1'), 'a file that gives few bytes at a time')
    assert.deepEqual(again.damages, damages)
  }
  const told = segments.flatMap(({ damage }) => damage ?? [])
  assert.deepEqual(damages.slice(0, told.length), told)
  const { bom } = detectEncoding(Buffer.concat(segments.map(segment => segment.text)))
  if (encoding === 'utf-8') {
    const all = Buffer.concat(segments.map(segment => segment.text))
    assert.ok(text.equals(all) || text.equals(all.subarray(bom)), 'the text is what was unpacked')
  } else if (told.every(({ gap }) => !gap)) {
    const all = Buffer.concat(segments.map(segment => segment.text)).subarray(bom)
    same(text.toString(), reference(all, encoding as Utf16), encoding)
    assert.equal(damages.length - told.length, all.length % 2, 'half a unit is told')
  }
  checkStream(ndjson.create({ invalid_utf8: 'dead_letter' }, {} as never), text.subarray(0, 4096), random, 1000)
}

export const FORMS: readonly Target[] = [
  {
    name: 'utf-16',
    formats: ['utf-16'],
    tokens: [...BYTE_TOKENS, ...TEXT_TOKENS.map(token => Buffer.from(token.toString(), 'utf16le'))],
    check: checkUtf16,
  },
  { name: 'file', formats: ['gzip', 'zstd', 'utf-16', 'ndjson'], tokens: [...BYTE_TOKENS, ...TEXT_TOKENS], check: checkFile },
]
