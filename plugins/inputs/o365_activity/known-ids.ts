// Which content came under which id, of late. One id with two contents is two events: the second gets an id of its own.
//
// Kept in rows, one for each chunk, written in the commit that settles the chunk: i/TENANT/NUMBER, 16 bytes for each new record.
import { hash } from 'node:crypto'
import type { Rows } from '../../../core/plugin/interfaces.ts'
import { IdTable } from './id-table.ts'
import type { Row } from './ledger-rows.ts'

/** So many ids are remembered for each tenant, at least. */
const MOST_IDS = 131_072
const ENTRY_BYTES = 16
const PAGE = 1_000

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
    for (let after: string | undefined; ; ) {
      const page = await this.#rows.list(this.#prefix, { limit: PAGE, ...(after !== undefined && { after }) })
      for (const [key, value] of page) {
        if (!(value instanceof Uint8Array)) continue
        const bytes = Buffer.from(value)
        for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) this.#remember(bytes.subarray(at, at + ENTRY_BYTES))
        this.#keep(key, bytes.length / ENTRY_BYTES)
        this.#next = Number(key.slice(this.#prefix.length)) + 1
      }
      after = page.at(-1)?.[0]
      if (page.length < PAGE) return
    }
  }

  /** Looks at the records of one chunk, each with its id (undefined: it has none, and a hash of it is its id). */
  judge(records: readonly { readonly id: string | undefined; readonly bytes: Uint8Array }[]): Judged {
    const ids = new Map<number, string>()
    const added: Buffer[] = []
    let conflicts = 0
    for (const [index, { id, bytes }] of records.entries()) {
      if (id === undefined) continue
      const entry = entryOf(id, bytes)
      const known = this.#known(entry)
      if (known === undefined) added.push(this.#remember(entry))
      if (known !== false) continue
      const second = `${id}~${entry.toString('hex', 8, 16)}`
      ids.set(index, second)
      const own = entryOf(second, bytes)
      if (this.#known(own) !== undefined) continue
      conflicts++
      added.push(this.#remember(own))
    }
    return { ids, conflicts, rows: added.length > 0 ? this.#write(added) : [] }
  }

  /** Undefined: the id is new. True: it came with this content. False: with another one. */
  #known(entry: Buffer): boolean | undefined {
    const value = this.#table?.get(entry.readUInt32LE(0), entry.readUInt32LE(4))
    return value && value[0] === entry.readUInt32LE(8) && value[1] === entry.readUInt32LE(12)
  }

  #remember(entry: Buffer): Buffer {
    this.#table ??= new IdTable(MOST_IDS)
    this.#table.set(entry.readUInt32LE(0), entry.readUInt32LE(4), entry.readUInt32LE(8), entry.readUInt32LE(12))
    return entry
  }

  #write(entries: readonly Buffer[]): Row[] {
    const key = `${this.#prefix}${String(this.#next++).padStart(12, '0')}`
    const rows: Row[] = [[key, Buffer.concat(entries)]]
    this.#keep(key, entries.length)
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

/** What is remembered of a record: half a hash of its id, half a hash of its bytes. */
function entryOf(id: string, bytes: Uint8Array): Buffer {
  const entry = Buffer.allocUnsafe(ENTRY_BYTES)
  hash('sha256', id, 'buffer').copy(entry, 0, 0, 8)
  hash('sha256', bytes, 'buffer').copy(entry, 8, 0, 8)
  return entry
}
