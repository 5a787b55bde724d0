// The books of a test: what it produced, what its outputs must get of that, and whether they did: nothing lost, invented or torn.

/** The two outputs of these tests: `all` takes every event, `logins` those of one kind, and refuses some of them. */
export type Output = 'all' | 'logins'
export const OUTPUTS: readonly Output[] = ['all', 'logins']

/** A record in a source, as it was produced. */
export interface Produced {
  readonly id: string
  /** Without its line end. */
  readonly line: string
  /** The source it was written to, and the bytes it takes there with its line end. */
  readonly source: string
  readonly start: number
  readonly end: number
  /** What each output gets of it; nothing for a line that cannot be decoded. */
  readonly gets: Readonly<Partial<Record<Output, string>>>
  /** Whose dead letter it becomes. */
  readonly buriedBy?: 'decode' | Output
  /** What `logins` gets of a dead letter that is replayed when it takes everything. */
  readonly later?: string
}

export interface Letter {
  readonly stage: string
  readonly step: string
  /** The source bytes. */
  readonly text: string
}

export interface Totals {
  readonly produced: number
  readonly delivered: number
  readonly repeated: number
  readonly buried: number
  /** Dead letters that arrived when they were sent again. */
  readonly replayed: number
}

/** How many of each output's lines, and of the dead letters, there are. */
export interface Seen {
  readonly lines: Readonly<Record<Output, ReadonlyMap<string, number>>>
  readonly letters: ReadonlyMap<string, number>
}

/** What the pipelines of these tests add to every event: lines that come by another way are seen. */
export const STAGE = { stage: 'kept' }
/** A value that no file may be named after, and that the server of these tests refuses. */
export const REFUSED_PLACE = 'no/where'

export class Ledger {
  readonly records: Produced[] = []
  readonly #random: () => number
  readonly #replays: boolean
  readonly #ends = new Map<string, number>()
  readonly #wanted: Readonly<Record<Output, Set<string>>> = { all: new Set(), logins: new Set() }
  readonly #buried = new Map<string, Produced>()
  /** How often each line had been delivered when its position was stored: it must not come again. */
  readonly #final = new Map<string, number>()

  /** `replays`: dead letters are sent to `logins` again. */
  constructor(random: () => number, replays = false) {
    this.#random = random
    this.#replays = replays
  }

  /** More records for a source: text to append to it. Some are torn, some are refused by `logins`, some come twice. */
  produce(source: string, count: number): string {
    let text = ''
    for (let i = 0; i < count; i++) text += `${this.#one(source).line}\n`
    return text
  }

  #one(source: string): Produced {
    const n = this.records.length
    const random = this.#random
    const earlier = this.records[Math.floor(random() * n)]
    const again = earlier && !earlier.buriedBy && random() < 0.03
    const kind = n % 3 === 0 ? 'login' : 'mail'
    const place = random() < 0.04 ? REFUSED_PLACE : random() < 0.5 ? 'left' : 'right'
    const text = 'aé\u2028😀'.repeat(2 + Math.floor(random() * 20))
    const fields = again ? JSON.parse(earlier.line) : { event: { id: `r${n}` }, n, kind, place, text }
    const whole = JSON.stringify(fields)
    const torn = !again && random() < 0.03
    const line = torn ? whole.slice(0, whole.indexOf('text') + 12) : whole
    const start = this.#ends.get(source) ?? 0
    const end = start + Buffer.byteLength(line) + 1
    this.#ends.set(source, end)
    const login = fields.kind === 'login'
    const refused = login && fields.place === REFUSED_PLACE
    const got = JSON.stringify({ ...fields, ...STAGE })
    const record: Produced = {
      id: fields.event.id,
      ...{ line, source, start, end },
      gets: torn ? {} : { all: got, ...(login && !refused && { logins: got }) },
      ...(torn ? { buriedBy: 'decode' } : refused && { buriedBy: 'logins', later: got }),
    }
    this.records.push(record)
    for (const output of OUTPUTS) if (record.gets[output]) this.#wanted[output].add(got)
    if (record.later && this.#replays) this.#wanted.logins.add(record.later)
    if (record.buriedBy) this.#buried.set(letterKey(record.buriedBy, line), record)
    return record
  }

  /** Counts what the outputs hold. A letter is known by who buried it and its source bytes. */
  seen(lines: Readonly<Record<Output, Iterable<string>>>, letters: Iterable<Letter>): Seen {
    const by = ({ stage, step }: Letter) => (stage === 'decode' ? 'decode' : step)
    return {
      lines: { all: counted(lines.all), logins: counted(lines.logins) },
      letters: counted(Array.from(letters, letter => letterKey(by(letter), letter.text))),
    }
  }

  /** Everything that was produced is where it belongs, and nothing else is there. Gives the sentences that do not hold. */
  audit(seen: Seen): string[] {
    const wrong = this.#missing(this.records, seen)
    for (const output of OUTPUTS) {
      for (const line of seen.lines[output].keys()) {
        if (!this.#wanted[output].has(line)) wrong.push(`${output} has a line that was not produced: ${line.slice(0, 200)}`)
      }
    }
    for (const key of seen.letters.keys())
      if (!this.#buried.has(key)) wrong.push(`a dead letter that nobody should have written: ${key}`)
    for (const [line, count] of this.#final) {
      const now = seen.lines.all.get(line) ?? 0
      if (now !== count) wrong.push(`delivered ${count} times when its position was stored, and ${now} times now: ${line}`)
    }
    return wrong
  }

  /**
   * After a kill: what lies before the stored positions (bytes, by source) is settled, each record in each of its outputs. Remembers
   * that it is, for the next audit: none of it may be delivered again.
   */
  settled(positions: ReadonlyMap<string, number>, seen: Seen): string[] {
    const before = this.records.filter(({ source, end }) => end <= (positions.get(source) ?? 0))
    for (const { gets } of before) if (gets.all) this.#final.set(gets.all, seen.lines.all.get(gets.all) ?? 0)
    return this.#missing(before, seen).map(text => `${text} although the position is behind it`)
  }

  /** Bytes of the records that were delivered somewhere and lie behind the stored positions: a restart delivers them again. */
  ahead(positions: ReadonlyMap<string, number>, seen: Seen): number {
    let bytes = 0
    for (const { source, start, end, gets } of this.records) {
      if (end <= (positions.get(source) ?? 0)) continue
      if (OUTPUTS.some(output => seen.lines[output].has(gets[output] ?? ''))) bytes += end - start - 1
    }
    return bytes
  }

  /** The most bytes of one source that lie behind its stored position. */
  unread(positions: ReadonlyMap<string, number>): number {
    return Math.max(0, ...Array.from(this.#ends, ([source, end]) => end - (positions.get(source) ?? 0)))
  }

  totals(seen: Seen): Totals {
    const counts = [...seen.lines.all.values(), ...seen.lines.logins.values()]
    const delivered = counts.reduce((sum, count) => sum + count, 0)
    const replayed = this.records.filter(({ later }) => later !== undefined && seen.lines.logins.has(later)).length
    const repeated = delivered - counts.length
    return { produced: this.records.length, delivered, repeated, buried: seen.letters.size, replayed }
  }

  #missing(records: readonly Produced[], { lines, letters }: Seen): string[] {
    const wrong: string[] = []
    for (const { id, line, gets, buriedBy, later = '', source, start } of records) {
      for (const output of OUTPUTS) {
        const wanted = gets[output]
        if (wanted !== undefined && !lines[output].has(wanted))
          wrong.push(`${id} (${source} at ${start}) is not in ${output}, nor in the dead letters`)
      }
      const isReplayed = this.#replays && lines.logins.has(later)
      if (buriedBy && !isReplayed && !letters.has(letterKey(buriedBy, line)))
        wrong.push(`${id} (${source} at ${start}) is in no dead letter`)
    }
    return wrong
  }
}

function letterKey(by: string, text: string): string {
  return `${by}: ${text}`
}

function counted(values: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return counts
}
