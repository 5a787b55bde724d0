// One CSV row to its values, and a header row to the names of columns.
import { PermanentError } from '../../../core/plugin/errors.ts'

/**
 * The values of a row (RFC 4180; its line end is not part of it). A quote opens only at the beginning of a value, elsewhere it is
 * text.
 * @throws PermanentError when text follows a closing quote, or a quote is not closed.
 */
export function rowValues(text: string, delimiter: string, quote: string): string[] {
  if (!text.includes(quote)) return text.split(delimiter)
  const values: string[] = []
  for (let at = 0; ; ) {
    if (text[at] !== quote) {
      const end = text.indexOf(delimiter, at)
      if (end < 0) {
        values.push(text.slice(at))
        return values
      }
      values.push(text.slice(at, end))
      at = end + 1
      continue
    }
    let value = ''
    let from = at + 1
    for (;;) {
      const close = text.indexOf(quote, from)
      if (close < 0) throw broken(`the quote that opens column ${values.length + 1} is not closed`)
      if (text[close + 1] !== quote) {
        values.push(value + text.slice(from, close))
        at = close + 1
        break
      }
      // A doubled quote is one quote.
      value += text.slice(from, close + 1)
      from = close + 2
    }
    if (at === text.length) return values
    if (text[at] !== delimiter) throw broken(`text follows the closing quote of column ${values.length}`)
    at++
  }
}

function broken(reason: string): PermanentError {
  return new PermanentError(`This is no CSV row: ${reason}.`, { code: 'PEN_CSV' })
}

/**
 * The names that a header row gives: blanks around them are cut off, one that is empty becomes `column_3` by its place, and of
 * those that are alike the second becomes `name_2`, the third `name_3`.
 */
export function columnNames(header: readonly string[]): string[] {
  const names = header.map((cell, index) => cell.trim() || `column_${index + 1}`)
  const given = new Set(names)
  // By name, the number to try next: counting from 2 each time would take for ever with a hundred thousand columns of one name.
  const next = new Map<string, number>()
  const used = new Set<string>()
  return names.map(name => {
    let unique = name
    let n = next.get(name) ?? 2
    while (used.has(unique) || (unique !== name && given.has(unique))) unique = `${name}_${n++}`
    next.set(name, n)
    used.add(unique)
    return unique
  })
}

const CANDIDATES = [',', ';', '\t', '|'] as const

/**
 * The delimiter of a file by its first row: of comma, semicolon, tab and bar the one that stands there most often outside quotes.
 */
export function guessDelimiter(text: string, quote: string): string {
  const counts = new Map<string, number>(CANDIDATES.map(candidate => [candidate, 0]))
  let quoted = false
  for (const char of text) {
    if (char === quote) quoted = !quoted
    else if (!quoted && counts.has(char)) counts.set(char, (counts.get(char) as number) + 1)
  }
  return [...counts].reduce((best, next) => (next[1] > best[1] ? next : best))[0]
}

/** The bytes behind which a value begins: the delimiter, or all that it may turn out to be. */
export function delimiterBytes(delimiter: string | undefined): ReadonlySet<number> {
  const delimiters: readonly string[] = delimiter === undefined ? CANDIDATES : [delimiter]
  return new Set(delimiters.map(each => each.charCodeAt(0)))
}
