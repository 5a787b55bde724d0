// Text for people: colours only where a terminal shows them, tables, numbers, and control characters made harmless.

import type { Writable } from 'node:stream'
import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]
type Out = Writable & { readonly isTTY?: boolean; readonly columns?: number }

/** True where colours and moving lines are welcome. */
export function isTerminal(stream: Out): boolean {
  return stream.isTTY === true && process.env.TERM !== 'dumb'
}

/** A function that styles text for this stream, or leaves it plain: not a terminal, or NO_COLOR is set. */
export function painter(stream: Out): (style: Style, text: string) => string {
  const colours = isTerminal(stream) && !process.env.NO_COLOR
  return (style, text) => (colours ? styleText(style, text, { validateStream: false }) : text)
}

/** How whoever started this process would type another command of it. */
export function commandName(): string {
  const script = process.env.npm_lifecycle_event
  if (script === undefined) return 'penstock'
  return script === 'npx' ? 'npx penstock' : 'npm run penstock --'
}

export function number(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** 1536 → 1.5 KiB. */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

export function seconds(ms: number): string {
  return ms < 10_000
    ? `${(ms / 1000).toFixed(1)} s`
    : ms < 120_000
      ? `${Math.round(ms / 1000)} s`
      : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** Rows in columns; columns named in `right` are aligned to the right. */
export function columns(rows: readonly (readonly string[])[], right: readonly number[] = [], indent = ''): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, index) => {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    })
  }
  return rows
    .map(row => {
      const cells = row.map((cell, index) =>
        right.includes(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      return `${indent}${cells.join('  ')}`.trimEnd()
    })
    .join('\n')
}
