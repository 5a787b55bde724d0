// Which content came under which id, of late. One id with two contents is two events: the second gets an id of its own.
//
// Kept in rows, one for each chunk, written in the commit that settles the chunk: i/TENANT/NUMBER, 16 bytes for each new record.
import { hash } from 'node:crypto'
import type { Rows } from '../../../core/plugin/interfaces.ts'
import { rowPages } from '../../lib/row-pages.ts'
import { IdTable } from './id-table.ts'
import type { Row } from './ledger-rows.ts'
import { contentWords, idWords, type Words } from './record-key.ts'

/** So many ids are remembered for each tenant, at least. */
const MOST_IDS = 131_072
const ENTRY_WORDS = 4
const ENTRY_BYTES = 4 * ENTRY_WORDS

export interface Examinee {
  readonly id: string | undefined
  /** Those of the id. */
  readonly words: Words
  readonly bytes: Uint8Array
}

export interface Judged {
  /** The id that a record gets instead of its own, by its index. */
  readonly ids: ReadonlyMap<number, string>
  /** Conflicts that were not known before. */
  readonly conflicts: number
  /** To be written with the chunk. */
  readonly rows: readonly Row[]
}

export class KnownIds {
  readonly #rows: Rows
  readonly #prefix: string
  #table: IdTable | undefined
  /** Rows that there are, the oldest first, and how many ids each holds. */
  readonly #kept: { readonly key: string; readonly count: number }[] = []
  #count = 0
  #next = 0

  constructor(rows: Rows, tenant: string) {
    this.#rows = rows
    this.#prefix = `i/${tenant.toLowerCase()}/`
  }

  async load(): Promise<void> {
    for await (const page of rowPages(this.#rows, this.#prefix)) {
      for (const [key, value] of page) {
        if (!(value instanceof Uint8Array)) continue
        const bytes = Buffer.from(value)
        for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES)
          this.#remember(wordsAt(bytes, at), wordsAt(bytes, at + ENTRY_BYTES / 2))
        this.#keep(key, bytes.length / ENTRY_BYTES)
        this.#next = Number(key.slice(this.#prefix.length)) + 1
      }
    }
  }

  /** Looks at the records of one chunk, each with its id (undefined: it has none, and a hash of it is its id). */
  judge(records: readonly Examinee[]): Judged {
    const ids = new Map<number, string>()
    const added: number[] = []
    let conflicts = 0
    for (const [index, { id, words, bytes }] of records.entries()) {
      if (id === undefined) continue
      const content = contentWords(bytes)
      const known = this.#known(words, content)
      if (known === undefined) added.push(...this.#remember(words, content))
      if (known !== false) continue
      const second = `${id}~${hash('sha256', bytes).slice(0, 16)}`
      ids.set(index, second)
      const own = idWords(second)
      if (this.#known(own, content) !== undefined) continue
      conflicts++
      added.push(...this.#remember(own, content))
    }
    return { ids, conflicts, rows: added.length > 0 ? this.#write(added) : [] }
  }

  /** Undefined: the id is new. True: it came with this content. False: with another one. */
  #known([a, b]: Words, [c, d]: Words): boolean | undefined {
    const value = this.#table?.get(a, b)
    return value && value[0] === c && value[1] === d
  }

  #remember([a, b]: Words, [c, d]: Words): readonly [number, number, number, number] {
    this.#table ??= new IdTable(MOST_IDS)
    this.#table.set(a, b, c, d)
    return [a, b, c, d]
  }

  #write(words: readonly number[]): Row[] {
    const key = `${this.#prefix}${String(this.#next++).padStart(12, '0')}`
    const bytes = Buffer.allocUnsafe(words.length * 4)
    words.forEach((word, index) => {
      bytes.writeUInt32LE(word, index * 4)
    })
    const rows: Row[] = [[key, bytes]]
    this.#keep(key, words.length / ENTRY_WORDS)
    while (this.#count > MOST_IDS && this.#kept.length > 1) {
      const oldest = this.#kept.shift() as { key: string; count: number }
      this.#count -= oldest.count
      rows.push([oldest.key, null])
    }
    return rows
  }

  #keep(key: string, count: number): void {
    this.#kept.push({ key, count })
    this.#count += count
  }
}

function wordsAt(bytes: Buffer, at: number): Words {
  return [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
}
