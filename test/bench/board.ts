// What the benches found: figures by name and by who was measured, and ratios of those that were taken in the same round.
import { columns } from '../../core/cli/terminal.ts'

interface Row {
  readonly name: string
  readonly unit: string
  readonly samples: Map<string, number[]>
  /** Within the rounds of the first one. */
  readonly range: number[]
}

export class Board {
  readonly #rows = new Map<string, Row>()
  readonly #who: readonly string[]
  readonly #notes: string[] = []

  /** The first one is divided by the others. */
  constructor(who: readonly string[]) {
    this.#who = who
  }

  /** A figure of this round; `range` are values that it stands for. */
  add(name: string, unit: string, who: string, value: number, range: readonly number[] = [value]): void {
    const key = `${name}, ${unit}`
    let row = this.#rows.get(key)
    if (!row) {
      row = { name, unit, samples: new Map(), range: [] }
      this.#rows.set(key, row)
    }
    if (who === this.#who[0]) row.range.push(...range)
    const samples = row.samples.get(who)
    if (samples) samples.push(value)
    else row.samples.set(who, [value])
  }

  /** A sentence below the table. */
  note(text: string): void {
    this.#notes.push(text)
  }

  print(): void {
    const [first = '', ...others] = this.#who
    const present = others.filter(who => [...this.#rows.values()].some(({ samples }) => samples.has(who)))
    const head = ['', first, 'spread', ...present.flatMap(who => [who, `${first} / ${who}`])]
    const rows = [...this.#rows.values()].map(({ name, unit, samples, range }) => {
      const own = samples.get(first) ?? []
      const cells = present.flatMap(who => {
        const theirs = samples.get(who)
        return theirs ? [shown(median(theirs)), ratio(own, theirs)] : ['', '']
      })
      return [`${name}, ${unit}`, shown(median(own)), spread(range), ...cells]
    })
    console.log(
      columns(
        [head, ...rows],
        head.flatMap((_, index) => (index > 0 ? [index] : [])),
      ),
    )
    for (const note of this.#notes) console.log(note)
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

/** So much of the values, sorted, lies below: 0.99. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function spread(values: readonly number[]): string {
  return values.length < 2 ? '' : `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`
}

/** Of the same rounds: noise that meets both is not in it. */
function ratio(own: readonly number[], theirs: readonly number[]): string {
  const ratios = own.flatMap((value, round) => (theirs[round] === undefined ? [] : [value / (theirs[round] as number)]))
  if (ratios.length === 0) return ''
  const range = ratios.length > 1 ? ` (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})` : ''
  return `${median(ratios).toFixed(2)}${range}`
}

function shown(value: number): string {
  if (Number.isNaN(value)) return '-'
  return value >= 1_000 ? Math.round(value).toLocaleString('en-US') : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}
