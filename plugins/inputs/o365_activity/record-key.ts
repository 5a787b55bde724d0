// What a record is known by among others: half of its id, and a check of its bytes.
import { hash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** Two words of 32 bits each. */
export type Words = readonly [number, number]

const GUID = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i

/** Words that stand for an id; those of a GUID are its own bits, since a hash of each would cost more than all the rest. */
export function idWords(id: string): Words {
  if (!GUID.test(id)) return hashed(id)
  const [first, second] = [word(id, 0, 8), word(id, 9, 13) * 65_536 + word(id, 14, 18)]
  const [third, fourth] = [word(id, 19, 23) * 65_536 + word(id, 24, 28), word(id, 28, 36)]
  const words: Words = [(first ^ third) >>> 0, (second ^ fourth) >>> 0]
  // A table takes two zeros for nothing, and some services do write an id of zeros.
  return words[0] === 0 && words[1] === 0 ? hashed(id) : words
}

/** Words that tell one content from another under the same id. Nobody chooses ids, so that a checksum is enough. */
export function contentWords(bytes: Uint8Array): Words {
  return [crc32(bytes), bytes.length]
}

/** Words of a text, or of bytes that stand for themselves. */
export function hashed(data: string | Uint8Array): Words {
  const bytes = hash('sha256', data, 'buffer')
  return [bytes.readUInt32LE(0), bytes.readUInt32LE(4)]
}

function word(id: string, from: number, to: number): number {
  return Number.parseInt(id.slice(from, to), 16)
}
