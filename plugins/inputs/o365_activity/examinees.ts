// The records of a chunk as they are looked at before they go on.
import type { Chunk } from '../../../core/plugin/interfaces.ts'
import type { Examinee } from './known-ids.ts'
import { headOf } from './record-head.ts'
import { hashed, idWords } from './record-key.ts'
import { recordsOf } from './records-of.ts'

/** `seen` is told the time of each record that has one, milliseconds since 1970. */
export function examinees(chunk: Chunk, seen: (time: number) => void = () => {}): Examinee[] {
  return recordsOf(chunk).map(bytes => {
    const { id, time } = headOf(bytes)
    if (!Number.isNaN(time)) seen(time)
    // What has no id counts all the same: its bytes are what it is known by.
    return { id, words: id === undefined ? hashed(bytes) : idWords(id), bytes }
  })
}
