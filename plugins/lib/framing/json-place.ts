// Where in a JSON text a cutter is: between whole texts, in the array of records, or among an object's members on the way to it.
import { CLOSE_BRACE, CLOSE_BRACKET, COLON, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './bytes.ts'
import { isWordByte } from './json-value.ts'

/** What becomes of a value. `stray`: a top-level value in which the path cannot begin. */
export type Role = 'record' | 'name' | 'skipped' | 'stray'

/** What a byte between two values means: one begins, an object on the path or the array opens or closes, or nothing fits. */
export type Meeting = Role | 'open object' | 'close object' | 'open array' | 'close array' | 'step' | 'broken'

export class Place {
  kind: 'top' | 'array' | 'members' = 'top'
  /** Why the byte that was met is broken. */
  reason = ''
  readonly #path: readonly string[]
  /** How many names of the path lead to the members at hand. */
  #level = 0
  /** What comes next among members; `found`: the value of the path's next name. */
  #due: 'name' | 'colon' | 'value' | 'found' = 'name'
  #matches = false

  constructor(path: readonly string[]) {
    this.#path = path
  }

  /** Goes on inside the array. */
  resume(): void {
    this.kind = 'array'
  }

  /** What is open is broken: only outside of objects can records be told again. */
  escape(): void {
    if (this.kind === 'members') this.kind = 'top'
  }

  /** The name whose value is sought among the members at hand. */
  get sought(): string {
    return this.#path[this.#level] as string
  }

  /** A name was read, and is the sought one or not. */
  named(matches: boolean): void {
    this.#matches = matches
    this.#due = 'colon'
  }

  /** A value was read. */
  passed(): void {
    this.#due = 'name'
  }

  meet(byte: number): Meeting {
    if (this.kind === 'members') return this.#meetMember(byte)
    if (this.kind === 'array') return byte === CLOSE_BRACKET ? this.#closeArray() : this.#value(byte, 'record')
    if (this.#path.length === 0) return byte === OPEN_BRACKET ? this.#openArray() : this.#value(byte, 'record')
    if (byte !== OPEN_BRACE) return this.#value(byte, 'stray')
    this.kind = 'members'
    this.#level = 0
    this.#due = 'name'
    return 'open object'
  }

  #meetMember(byte: number): Meeting {
    switch (this.#due) {
      case 'name':
        if (byte === QUOTE) return 'name'
        return byte === CLOSE_BRACE ? this.#closeObject() : this.#broken('no name where a name is due')
      case 'colon':
        if (byte !== COLON) return this.#broken('a name without a colon')
        this.#due = this.#matches ? 'found' : 'value'
        return 'step'
      case 'value':
        return this.#value(byte, 'skipped')
      default:
        if (this.#level + 1 === this.#path.length) return byte === OPEN_BRACKET ? this.#openArray() : this.#value(byte, 'record')
        if (byte !== OPEN_BRACE) return this.#value(byte, 'skipped')
        this.#level++
        this.#due = 'name'
        return 'step'
    }
  }

  #value(byte: number, role: Role): Meeting {
    const begins = byte === OPEN_BRACE || byte === OPEN_BRACKET || byte === QUOTE || isWordByte(byte)
    return begins ? role : this.#broken('this is no JSON value')
  }

  #openArray(): Meeting {
    this.kind = 'array'
    return 'open array'
  }

  #closeArray(): Meeting {
    this.kind = this.#path.length > 0 ? 'members' : 'top'
    this.#level = this.#path.length - 1
    this.#due = 'name'
    return 'close array'
  }

  #closeObject(): Meeting {
    if (this.#level-- > 0) return 'step'
    this.kind = 'top'
    return 'close object'
  }

  #broken(reason: string): Meeting {
    this.reason = reason
    return 'broken'
  }
}
