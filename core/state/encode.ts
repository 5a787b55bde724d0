// Values as they cross to the store's thread and back.

import type { Json, JsonObject } from '../plugin/json.ts'
import { refusal } from './failure.ts'
import type { LetterMessage, Stored, StoredMessage } from './protocol.ts'
import type { Changes, DeadLetter, StoredLetter } from './types.ts'

/** A copy that may be handed over: the original may be shared memory, or a small part of a large buffer. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes)
}

/** Changes as one JSON text and the bytes beside it; what the caller does with its objects afterwards no longer matters. */
export function encodeChanges({ positions, rows }: Changes): { text: string; blobs: Uint8Array<ArrayBuffer>[] } {
  const blobs: Uint8Array<ArrayBuffer>[] = []
  const encoded = rows.some(([, , value]) => value instanceof Uint8Array)
    ? rows.map(([scope, key, value]) =>
        value instanceof Uint8Array ? [scope, key, blobs.push(ownBytes(value)) - 1, 1] : [scope, key, value],
      )
    : rows
  try {
    return { text: JSON.stringify([positions, encoded]), blobs }
  } catch {
    // The cause stays out of it: it quotes the value.
    throw refusal('PEN_STATE_VALUE', 'state: a position or a row is no JSON value: it may hold neither BigInts nor itself')
  }
}

export function encodeLetter(letter: DeadLetter): LetterMessage {
  try {
    return { ...letter, meta: JSON.stringify(letter.meta), bytes: ownBytes(letter.bytes) }
  } catch {
    throw refusal('PEN_STATE_VALUE', `state: the meta of a dead letter of step ${letter.step} is no JSON value`)
  }
}

export function decodeLetter(letter: StoredMessage): StoredLetter {
  return { ...letter, meta: decodeText<JsonObject>(letter.meta) }
}

export function decodeValue(value: Stored): Json | Uint8Array {
  return typeof value === 'string' ? decodeText(value) : value
}

/** @throws PEN_STATE_DAMAGED: somebody else wrote into the file, or the disk changed it */
export function decodeText<T = Json>(text: string): T {
  try {
    return JSON.parse(text) as T
  } catch {
    throw refusal(
      'PEN_STATE_DAMAGED',
      'state: a stored value is no JSON any more: restore a backup, or run `penstock state reset`',
    )
  }
}
