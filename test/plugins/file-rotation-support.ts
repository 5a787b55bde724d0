// What the tests share in which the real program follows files that are rotated: sources that know what they wrote, and what came out.
import { appendFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../kit/cases.ts'
import { positions, until } from '../kit/limits.ts'

/** Times of the input; a last line counts as whole a moment after its file was rotated. */
const TIMES = { follow: true, poll_interval_ms: 20, discover_interval_ms: 50, rotate_wait_ms: 1500 }
/** An output that is down until the file `open` appears in its folder. */
export const GATE = join(root, 'test/faults/limits-gate-output.ts')
export const FILE = { type: 'file', paths: ['logs/*/app.log*'], ...TIMES }

/** What the output has got so far, by case: reads only what is new. */
export class Delivered {
  readonly #file: string
  readonly #lines = new Map<string, string[]>()
  #at = 0

  constructor(cwd: string) {
    this.#file = join(cwd, 'out.ndjson')
  }

  of(name: string): string[] {
    const size = existsSync(this.#file) ? statSync(this.#file).size : 0
    if (size > this.#at) {
      const text = readFileSync(this.#file).subarray(this.#at)
      const whole = text.subarray(0, text.lastIndexOf(10) + 1)
      this.#at += whole.length
      for (const line of whole.toString().split('\n').slice(0, -1)) {
        const { case: of } = JSON.parse(line) as { case: string }
        const lines = this.#lines.get(of)
        if (lines) lines.push(line)
        else this.#lines.set(of, [line])
      }
    }
    return this.#lines.get(name) ?? []
  }
}

/** A folder of a case's own, and what it wrote there. */
export class Source {
  readonly path: string
  readonly name: string
  readonly #delivered: Delivered
  readonly written: string[] = []

  constructor(cwd: string, name: string, delivered: Delivered) {
    mkdirSync(join(cwd, 'logs', name), { recursive: true })
    this.#delivered = delivered
    this.name = name
    this.path = join(cwd, 'logs', name, 'app.log')
  }

  /** New lines, as text; long enough that a file of some can be told from others by its beginning. */
  lines(count: number): string {
    const from = this.written.length
    for (let n = from; n < from + count; n++)
      this.written.push(JSON.stringify({ case: this.name, n, text: `Grüße 東京 😀 ${'-'.repeat(60)}` }))
    return this.written
      .slice(from)
      .map(line => `${line}\n`)
      .join('')
  }

  append(count: number, path = this.path): void {
    appendFileSync(path, this.lines(count))
  }

  /** What the output has got of it. */
  got(): string[] {
    return this.#delivered.of(this.name)
  }

  async all(what = 'all lines have come'): Promise<void> {
    await until(`${this.name}: ${what}`, () => {
      const got = new Set(this.got())
      return this.written.every(line => got.has(line))
    })
  }
}

/** The whole lines of a file that may not be there yet. */
export function linesOf(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
}

/** How far each file is acknowledged, in bytes. */
export const offsets = (cwd: string) => positions(join(cwd, 'state')).map(({ position }) => position['offset'] as number)
