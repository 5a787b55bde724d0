// Errors of a pipeline file: where, what, and the source line, with every secret masked.
import { styleText } from 'node:util'
import { PenstockError } from '../plugin/errors.ts'
import type { Place } from './tree.ts'

/** An error or a warning with its place in a file. Lines and columns count from 1, columns in UTF-16 units. */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
  /** The source line, secrets masked, cut to what fits a terminal; absent where there is none. */
  readonly source?: { readonly text: string; readonly caret: number; readonly width: number }
}

/** One or more pipeline files are wrong. `message` has a line for each problem; `format` shows the source lines too. */
export class ConfigError extends PenstockError {
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[]) {
    super('PEN_CONFIG', problems.map(headline).join('\n'))
    this.problems = problems
  }

  /** Every problem with its source line and a caret below it. */
  format(options: { readonly color?: boolean } = {}): string {
    return this.problems.map(problem => formatProblem(problem, options)).join('\n')
  }
}

/** `file:line:column: message`. */
export function headline({ file, line, column, message }: Problem): string {
  return `${file}:${line}:${column}: ${message}`
}

/** A problem with its source line and a caret below it. */
export function formatProblem(problem: Problem, { color = false }: { readonly color?: boolean } = {}): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    color ? styleText(style, text, { validateStream: false }) : text
  const { file, line, column, message, source } = problem
  const head = `${paint('bold', `${file}:${line}:${column}:`)} ${message}`
  if (!source) return head
  const number = String(line).padStart(5)
  // A tab before the caret must be a tab below it too.
  const indent = source.text.slice(0, source.caret).replaceAll(/[^\t]/g, ' ')
  const caret = paint('red', '^'.repeat(source.width))
  return `${head}\n${paint('dim', `${number} |`)} ${source.text}\n${paint('dim', '      |')} ${indent}${caret}`
}

const MASK = '***'
/** Beyond this many, more problems of one file help nobody. */
const MOST = 200
/** Source lines are cut to this many characters around the place. */
const WINDOW = 110
const SECRET_NAME =
  /pass(?:word|wd|phrase)|secret|token|credential|(?:api|access|private|account|shared)[_-]?key|connection[_-]?string/i
const SECRET_KEY = new RegExp(`[\\w.-]*(?:${SECRET_NAME.source})[\\w.-]*["']?\\s*:`, 'i')
const NEXT_KEY = /^[ \t]*(?:-\s|["']?[\w.-]+["']?\s*:(?:\s|$))/

/** True for a key that is likely to hold a secret: all there is to go by where no schema says so. */
export function looksSecret(key: string): boolean {
  return SECRET_NAME.test(key)
}

/** Collects the problems of one file, and what of it must not be shown. */
export class Report {
  readonly file: string
  readonly text: string
  readonly #lines: number[]
  readonly #errors: { place: Place; message: string }[] = []
  readonly #warnings: { place: Place; message: string }[] = []
  readonly #hidden: Place[] = []
  readonly #secrets = new Set<string>()
  #looks: Place[] | undefined
  #structured = false

  /** `file` is the name as the user gave it; `text` its content. */
  constructor(file: string, text: string) {
    this.file = file
    this.text = text
    this.#lines = [0]
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) this.#lines.push(end + 1)
  }

  get failed(): boolean {
    return this.#errors.length > 0
  }

  error(place: Place, message: string): void {
    this.#errors.push({ place, message })
  }

  warn(place: Place, message: string): void {
    this.#warnings.push({ place, message })
  }

  /** Source lines show *** at this place. */
  hide({ start, end }: Place): void {
    this.#hidden.push({ start, end })
  }

  /** A value that no message may show, in any of the forms that messages quote values in. */
  secret(value: string): void {
    for (const part of [value, ...value.split('\n')]) {
      if (part.trim() === '') continue
      for (const form of [part, part.trim(), JSON.stringify(part).slice(1, -1), encodeURIComponent(part)]) this.#secrets.add(form)
    }
  }

  /** The file could be read as YAML: from now on schemas say what is secret, not the look of a line. */
  structured(): void {
    this.#structured = true
  }

  /** The line of an offset, from 1. */
  line(offset: number): number {
    let low = 0
    let high = this.#lines.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.#lines[middle] as number) <= offset) low = middle
      else high = middle - 1
    }
    return low + 1
  }

  /** The errors in the file's order, each once. */
  errors(): Problem[] {
    return this.#problems(this.#errors)
  }

  warnings(): Problem[] {
    return this.#problems(this.#warnings)
  }

  #problems(found: readonly { place: Place; message: string }[]): Problem[] {
    const seen = new Set<string>()
    const problems: Problem[] = []
    for (const { place, message } of [...found].sort((a, b) => a.place.start - b.place.start)) {
      if (problems.length === MOST) break
      const shown = this.#masked(message)
      const key = `${place.start} ${shown}`
      if (seen.has(key)) continue
      seen.add(key)
      const line = this.line(place.start)
      const column = place.start - (this.#lines[line - 1] as number) + 1
      problems.push({ file: this.file, line, column, message: shown, ...this.#source(line, place) })
    }
    return problems
  }

  #masked(message: string): string {
    let shown = message
    for (const secret of [...this.#secrets].sort((a, b) => b.length - a.length)) {
      // A short secret is masked where it stands alone: everywhere, it would make the message unreadable, and say what it is.
      if (secret.length > 3) shown = shown.replaceAll(secret, MASK)
      else shown = shown.replaceAll(new RegExp(`(?<![\\w])${RegExp.escape(secret)}(?![\\w])`, 'g'), MASK)
    }
    return shown
  }

  #source(line: number, place: Place): Pick<Problem, 'source'> {
    const begin = this.#lines[line - 1] as number
    const end = (this.#lines[line] ?? this.text.length + 1) - 1
    const first = Math.max(begin, place.start - WINDOW)
    const last = Math.min(end, place.start + 2 * WINDOW)
    const hidden = [...this.#hidden, ...(this.#structured ? [] : this.#secretLooking())].filter(
      one => one.start < last && one.end > first,
    )
    let text = ''
    let caret = 0
    let caretEnd = 0
    for (let at = first; at < last; ) {
      const mask = hidden.find(one => one.start <= at && at < one.end)
      if (at <= place.start) caret = text.length
      text += mask ? MASK : this.text[at]
      at = mask ? mask.end : at + 1
      if (at <= place.end) caretEnd = text.length
    }
    if (place.start >= last) caret = text.length
    text = text.replace(/\r$/, '')
    if (text.trim() === '') return {}
    const from = text.length > WINDOW ? Math.max(0, Math.min(caret - WINDOW / 2, text.length - WINDOW)) : 0
    const cut = text.slice(from, from + WINDOW)
    const width = Math.max(1, Math.min(caretEnd, from + cut.length) - caret)
    return { source: { text: cut, caret: caret - from, width } }
  }

  /**
   * What looks like a secret by the key before it, in a file that is no YAML: nobody knows where such a value ends there, so all of
   * its line is hidden, and all lines below it up to the next key that is not indented further.
   */
  #secretLooking(): Place[] {
    if (this.#looks) return this.#looks
    const places: Place[] = []
    let open: { start: number; column: number } | undefined
    for (const [index, begin] of this.#lines.entries()) {
      const line = this.text.slice(begin, this.#lines[index + 1] ?? this.text.length)
      if (open && NEXT_KEY.test(line) && line.search(/\S/) <= open.column) {
        places.push({ start: open.start, end: begin - 1 })
        open = undefined
      }
      const found = open ? null : SECRET_KEY.exec(line)
      if (found) open = { start: begin + found.index + found[0].length + 1, column: found.index }
    }
    if (open) places.push({ start: open.start, end: this.text.length })
    this.#looks = places
    return places
  }
}
