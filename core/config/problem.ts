// Errors of a pipeline file: where, what, and the source line, with every secret masked.
import { styleText } from 'node:util'
import { neverShow, shortened, visible } from '../observe/text.ts'
import { PenstockError } from '../plugin/errors.ts'
import type { Place, Tree } from './tree.ts'

/** Where a problem of the file as a whole is reported. */
export const BEGIN: Place = { start: 0, end: 1 }

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
  format({ color = false }: { readonly color?: boolean } = {}): string {
    const paint = (style: Parameters<typeof styleText>[0], text: string) =>
      color ? styleText(style, text, { validateStream: false }) : text
    return this.problems
      .map(({ file, line, column, message, source }) => {
        const head = `${paint('bold', `${visible(file)}:${line}:${column}:`)} ${message}`
        if (!source) return head
        const { text, caret, width } = source
        // A tab before the caret must be a tab below it too.
        const indent = text.slice(0, caret).replaceAll(/[^\t]/g, ' ')
        const below = `${paint('dim', '      |')} ${indent}${paint('red', '^'.repeat(width))}`
        return `${head}\n${paint('dim', `${String(line).padStart(5)} |`)} ${text}\n${below}`
      })
      .join('\n')
  }
}

/** `file:line:column: message`. */
export function headline({ file, line, column, message }: Problem): string {
  return `${visible(file)}:${line}:${column}: ${message}`
}

const MASK = '***'
/** Characters of a message: some quote what stands in the file. */
const LONGEST = 1_000
/** Beyond this many, more problems of one file help nobody. */
const MOST = 200
/** Source lines are cut to this many characters around the place. */
const WINDOW = 110
const SECRET_NAME =
  /pass(?:word|wd|phrase)|secret|token|credential|(?:api|access|private|account|shared)[_-]?key|connection[_-]?string/i
// Bounded: a line of a million letters would be searched from each of them to its end.
const SECRET_KEY = new RegExp(`[\\w.-]{0,100}(?:${SECRET_NAME.source})[\\w.-]{0,100}["']?\\s{0,100}:`, 'i')
const NEXT_KEY = /^[ \t]*(?:-\s|["']?[\w.-]+["']?\s*:(?:\s|$))/

interface Found {
  readonly place: Place
  readonly message: string
}

/** Collects the problems of one file, and what of it must not be shown. */
export class Report {
  readonly file: string
  readonly text: string
  readonly #lines: number[] = [0]
  readonly #errors: Found[] = []
  readonly #warnings: Found[] = []
  readonly #hidden: Place[] = []
  readonly #secrets = new Set<string>()

  /** `file` is the name as the user gave it; `text` its content. */
  constructor(file: string, text: string) {
    this.file = file
    this.text = text
    for (const { index } of text.matchAll(/\n/g)) this.#lines.push(index + 1)
  }

  get failed(): boolean {
    return this.#errors.length > 0
  }

  /** More errors will not be shown: what takes long to say of them need not be found out. */
  get crowded(): boolean {
    return this.#errors.length >= MOST
  }

  error(place: Place, message: string): void {
    this.#errors.push({ place, message })
  }

  warn(place: Place, message: string): void {
    this.#warnings.push({ place, message })
  }

  /** The errors in the file's order, each once. */
  errors(): Problem[] {
    return this.#problems(this.#errors)
  }

  warnings(): Problem[] {
    return this.#problems(this.#warnings)
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

  /** Source lines show *** at this place. */
  hide({ start, end }: Place): void {
    this.#hidden.push({ start, end })
  }

  /** A value that no message may show, in any of the forms that messages quote values in. */
  secret(value: string): void {
    neverShow(value)
    for (const part of [value, ...value.split('\n')]) {
      if (part.trim() === '') continue
      for (const form of [part, part.trim(), JSON.stringify(part).slice(1, -1), encodeURIComponent(part)]) this.#secrets.add(form)
    }
  }

  /** Hides what keys that look like it say is secret: where no schema says so. */
  hideBelow(tree: Tree): void {
    if (tree.kind === 'list') for (const item of tree.items) this.hideBelow(item)
    if (tree.kind !== 'map') return
    for (const [key, { value }] of tree.entries) {
      if (SECRET_NAME.test(key)) this.hide(value)
      this.hideBelow(value)
    }
  }

  /**
   * The same in a file that is no YAML. Nobody knows where such a value ends there, so all of its line is hidden, and all lines below
   * it up to the next key that is not indented further.
   */
  hideLines(): void {
    let hidden: { start: number; column: number } | undefined
    for (const [index, begin] of this.#lines.entries()) {
      const line = this.text.slice(begin, this.#lines[index + 1])
      if (hidden && NEXT_KEY.test(line) && line.search(/\S/) <= hidden.column) {
        this.hide({ start: hidden.start, end: begin - 1 })
        hidden = undefined
      }
      const key = hidden ? null : SECRET_KEY.exec(line)
      if (key) hidden = { start: begin + key.index + key[0].length + 1, column: key.index }
    }
    if (hidden) this.hide({ start: hidden.start, end: this.text.length })
  }

  #problems(found: readonly Found[]): Problem[] {
    const problems = new Map<string, Problem>()
    for (const { place, message } of [...found].sort((a, b) => a.place.start - b.place.start)) {
      if (problems.size === MOST) break
      const shown = shortened(visible(this.#masked(message)), LONGEST)
      const line = this.line(place.start)
      const begin = this.#lines[line - 1] as number
      const source = this.#source(begin, place)
      problems.set(`${place.start} ${shown}`, {
        file: this.file,
        line,
        column: place.start - begin + 1,
        message: shown,
        ...source,
      })
    }
    return [...problems.values()]
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

  /** The line that begins at `begin`, with the place in it. */
  #source(begin: number, { start, end }: Place): Pick<Problem, 'source'> {
    const lineEnd = this.text.indexOf('\n', begin)
    const from = this.#hiding(start)?.start ?? start
    const after = this.#shown(from, Math.min(lineEnd < 0 ? this.text.length : lineEnd, start + WINDOW)).trimEnd()
    const room = Math.max(WINDOW / 2, WINDOW - after.length)
    const before = this.#shown(Math.max(begin, from - WINDOW), Math.max(begin, from)).slice(-room)
    if ((before + after).trim() === '') return {}
    const text = (before + after).slice(0, WINDOW)
    const width = Math.min(this.#shown(from, Math.min(end, start + WINDOW)).length, text.length - before.length)
    // One mark for each character that would do something: the caret stays below its place.
    const harmless = text.replaceAll(/[^\t]/g, char => (visible(char) === char ? char : '\ufffd'))
    return { source: { text: harmless, caret: before.length, width: Math.max(1, width) } }
  }

  #hiding(offset: number): Place | undefined {
    return this.#hidden.find(({ start, end }) => start <= offset && offset < end)
  }

  /** A part of the text, with what is hidden masked. */
  #shown(from: number, to: number): string {
    let shown = ''
    for (let at = from; at < to; ) {
      const hidden = this.#hiding(at)
      shown += hidden ? MASK : this.text.charAt(at)
      at = hidden?.end ?? at + 1
    }
    return shown
  }
}
