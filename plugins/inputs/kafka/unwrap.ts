// Cuts a message that holds records in one of the shapes that Azure's diagnostic settings send.
import type { Chunk, FramerStart } from '../../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { jsonFramer } from '../../lib/framing/json.ts'

/**
 * The records of a message: the elements of the array `name` of an object, those of a bare array, or objects one after the other, each
 * of which may be either. What is none of that is a fault, as the codec json has it.
 */
export function* unwrapped(value: Uint8Array, name: string, meta: Readonly<JsonObject>, start: FramerStart): Generator<Chunk> {
  for (const chunk of cut(value, [], meta, start)) {
    let plain = true
    for (const [from, to] of recordsOf(chunk)) plain &&= !isEnvelope(chunk.bytes.subarray(from, to), name)
    if (plain) yield chunk
    else yield* opened(chunk, name, meta, start)
  }
}

/** The records of a chunk one by one, since there are envelopes among them. */
function* opened(chunk: Chunk, name: string, meta: Readonly<JsonObject>, start: FramerStart): Generator<Chunk> {
  for (const [from, to] of recordsOf(chunk)) {
    const record = chunk.bytes.subarray(from, to)
    yield* cut(record, isEnvelope(record, name) ? [name] : [], meta, start)
  }
  if (chunk.faults) yield { bytes: new Uint8Array(0), ends: new Uint32Array(0), meta, faults: chunk.faults }
}

function* cut(value: Uint8Array, path: readonly string[], meta: Readonly<JsonObject>, start: FramerStart): Generator<Chunk> {
  const framer = jsonFramer(meta, start, path)
  yield* framer.push(value)
  yield* framer.end()
}

function* recordsOf({ ends, starts, count = ends.length }: Chunk): Generator<readonly [from: number, to: number]> {
  let from = 0
  for (let record = 0; record < count; record++) {
    const to = ends[record] as number
    yield [starts ? (starts[record] as number) : from, to]
    from = to + 1
  }
}

/** The name may be deep inside, or a text: only few records with it are looked at closely. */
function isEnvelope(record: Uint8Array, name: string): boolean {
  const bytes = Buffer.from(record.buffer, record.byteOffset, record.length)
  const quoted = JSON.stringify(name)
  if (!bytes.includes(quoted)) return false
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    return isObject(value) && Object.hasOwn(value, name) && Array.isArray(value[name])
  } catch {
    return false
  }
}
