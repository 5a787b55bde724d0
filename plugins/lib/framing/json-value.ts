// Finds where a JSON value ends, in bytes that come piece by piece.
import { BACKSLASH, CLOSE_BRACE, COLON, COMMA, NEWLINE, OPEN_BRACE, OPEN_BRACKET, QUOTE, SPACE } from './bytes.ts'

/** Brackets nested deeper are counted, not compared. */
const COMPARED_DEPTH = 64
/** Strings up to here are quicker to walk through than to search. */
const SHORT_STRING = 32
/** The longest number that anything writes, and some more. */
const MAX_WORD = 64

export const OPEN = 0
export const DONE = 1
export const BROKEN = 2

/** Digits, letters and signs: what numbers, `true`, `false` and `null` are made of. */
const WORD = new Uint8Array(256)
for (const char of '+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz') WORD[char.charCodeAt(0)] = 1

export function isWordByte(byte: number): boolean {
  return WORD[byte] === 1
}

/**
 * Walks over one value: strings, escapes and brackets, not the rest of the grammar, which is for JSON.parse to judge. Three
 * things break a value at once, because without them it would swallow those that follow: a bracket that closes another kind, a
 * newline in a string, and a bracket that opens where none can stand.
 */
export class ValueScanner {
  status = OPEN
  /** What broke the value. */
  reason = ''
  /** It nested deeper than brackets are compared. */
  deep = false
  /** It is a number, `true`, `false`, `null`, or something that is no JSON at all. */
  word = false
  #length = 0
  #depth = 0
  #inString = false
  #escaped = false
  readonly #closers = new Uint8Array(COMPARED_DEPTH)
  /** The last byte that is no blank, of those that came before. */
  #before = 0
  #searched: Buffer | undefined
  #searchedFrom = 0
  #newline = 0

  /** Prepares for a value; its first byte is then scanned like all others. */
  begin(first: number): void {
    this.status = OPEN
    this.deep = false
    this.word = isWordByte(first)
    this.#length = 0
    this.#depth = 0
    this.#inString = false
    this.#escaped = false
  }

  /** Goes on at `at`. Gives the index after the value, or of the byte that breaks it, or the view's end when it is still open. */
  scan(view: Buffer, at: number): number {
    if (this.word) return this.#word(view, at)
    const end = view.length
    let i = at
    if (this.#inString) {
      i = this.#string(view, at)
      if (!this.#inString && this.#depth === 0) this.status = DONE
      if (this.#inString || this.status !== OPEN) return i
    }
    let depth = this.#depth
    while (i < end) {
      const byte = view[i] as number
      if (byte === QUOTE) {
        // Most strings are names and short values: no call for those.
        const until = Math.min(end, ++i + SHORT_STRING)
        let next = 0
        while (i < until) {
          next = view[i] as number
          if (next === QUOTE || next === BACKSLASH || next === NEWLINE) break
          i++
        }
        if (next === QUOTE && i < until) i++
        else {
          this.#inString = true
          this.#depth = depth
          i = this.#string(view, i)
          if (this.status !== OPEN) return i
          if (this.#inString) break
        }
        if (depth === 0) {
          this.status = DONE
          return i
        }
        continue
      }
      // The two kinds of bracket differ in one bit.
      const bracket = byte | 0x20
      if (bracket === OPEN_BRACE) {
        if (depth > 0 && !this.#mayOpen(view, at, i, depth)) return i
        if (depth < COMPARED_DEPTH) this.#closers[depth] = byte + 2
        else this.deep = true
        depth++
      } else if (bracket === CLOSE_BRACE) {
        if (depth <= COMPARED_DEPTH && this.#closers[depth - 1] !== byte) return this.#wrongCloser(i, byte, depth)
        depth--
        if (depth === 0) {
          this.status = DONE
          return i + 1
        }
      }
      i++
    }
    this.#depth = depth
    for (let j = end - 1; j >= at; j--) {
      if ((view[j] as number) <= SPACE) continue
      this.#before = view[j] as number
      break
    }
    return end
  }

  /** In an object a bracket opens behind a colon, in an array behind a comma or the array's own bracket. */
  #mayOpen(view: Buffer, from: number, at: number, depth: number): boolean {
    if (depth > COMPARED_DEPTH) return true
    let i = at - 1
    while (i >= from && (view[i] as number) <= SPACE) i--
    const before = i >= from ? view[i] : this.#before
    const inObject = this.#closers[depth - 1] === CLOSE_BRACE
    if (inObject ? before === COLON : before === COMMA || before === OPEN_BRACKET) return true
    this.#broken(at, inObject ? 'a bracket opens where a name is due' : 'a bracket opens where a comma is due')
    return false
  }

  #wrongCloser(at: number, byte: number, depth: number): number {
    const due = String.fromCharCode(this.#closers[depth - 1] as number)
    return this.#broken(at, `"${String.fromCharCode(byte)}" stands where "${due}" is due`)
  }

  /** From inside a string to behind its closing quote. */
  #string(view: Buffer, at: number): number {
    const end = view.length
    let i = at
    for (;;) {
      const until = Math.min(end, i + SHORT_STRING)
      for (; i < until; i++) {
        const byte = view[i] as number
        if (byte === NEWLINE) return this.#broken(i, 'a string is not closed on its line')
        if (this.#escaped) this.#escaped = false
        else if (byte === BACKSLASH) this.#escaped = true
        else if (byte === QUOTE) {
          this.#inString = false
          return i + 1
        }
      }
      if (i === end) return end
      if (this.#escaped) continue
      const found = view.indexOf(QUOTE, i)
      const quote = found < 0 ? end : found
      const newline = this.#newlineAfter(view, i)
      if (newline < quote) return this.#broken(newline, 'a string is not closed on its line')
      let backslashes = 0
      while (quote - backslashes > i && view[quote - backslashes - 1] === BACKSLASH) backslashes++
      this.#escaped = backslashes % 2 === 1
      i = quote
      if (i === end) return end
    }
  }

  /** The first newline from `at` on, or the view's end. Searched for once, not for every string before it. */
  #newlineAfter(view: Buffer, at: number): number {
    if (view !== this.#searched || at < this.#searchedFrom || at > this.#newline) {
      const found = view.indexOf(NEWLINE, at)
      this.#searched = view
      this.#searchedFrom = at
      this.#newline = found < 0 ? view.length : found
    }
    return this.#newline
  }

  #word(view: Buffer, at: number): number {
    for (let i = at; i < view.length; i++) {
      if (isWordByte(view[i] as number)) {
        if (++this.#length > MAX_WORD) return this.#broken(i, 'this is no JSON value')
      } else {
        this.status = DONE
        return i
      }
    }
    return view.length
  }

  #broken(at: number, reason: string): number {
    this.status = BROKEN
    this.reason = reason
    return at
  }
}
