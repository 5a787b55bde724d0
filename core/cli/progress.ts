// Progress of a run: one line that moves on a terminal, a plain line now and then elsewhere.
import type { Supervisor } from '../flow/supervisor.ts'
import type { Clock } from '../plugin/interfaces.ts'
import { number } from './terminal.ts'

type Figures = ReturnType<Supervisor['figures']>

export interface Progress {
  /** Starts showing what `figures` gives. */
  show(figures: () => Figures): void
  /** Takes the moving line away, because something else is about to be written; it comes back by itself. */
  clear(): void
  stop(): void
}

const TERMINAL_MS = 200
const PLAIN_MS = 10_000
const ERASE = '\r\u001b[2K'

export interface ProgressOptions {
  readonly terminal: boolean
  readonly clock: Clock
  /** Takes a plain line, where no terminal is. */
  plain(line: string): void
}

export function startProgress({ terminal, clock, plain }: ProgressOptions): Progress {
  const interval = terminal ? TERMINAL_MS : PLAIN_MS
  let shown = false
  let stopped = false
  let cancel = () => {}
  let before = { at: clock.monotonic(), read: 0 }

  const clear = () => {
    if (shown) process.stderr.write(ERASE)
    shown = false
  }
  return {
    show(figures) {
      const tick = () => {
        if (stopped) return
        const now = { at: clock.monotonic(), read: total(figures(), ({ counts }) => counts.read) }
        const rate = ((now.read - before.read) / (now.at - before.at)) * 1000
        const idle = now.read === before.read
        before = now
        const text = line(figures(), rate)
        if (terminal) {
          process.stderr.write(`${ERASE}${text.slice(0, (process.stderr.columns ?? 80) - 1)}`)
          shown = true
        } else if (!idle) plain(text)
        cancel = clock.after(interval, tick)
      }
      cancel = clock.after(interval, tick)
    },
    clear,
    stop() {
      stopped = true
      cancel()
      clear()
    },
  }
}

function line(figures: Figures, rate: number): string {
  const read = total(figures, ({ counts }) => counts.read)
  const dead = total(
    figures,
    ({ counts, outputs }) => counts.failed + outputs.reduce((sum, output) => sum + output.deadLettered, 0),
  )
  const outputs = figures
    .flatMap(one => one.figures.outputs)
    .map(({ id, delivered, queue }) => `${id} ${number(delivered)}${queue?.events ? ` (${number(queue.events)} queued)` : ''}`)
    .join(', ')
  const parts = [`read ${number(read)}`, `delivered: ${outputs || 'nothing yet'}`, `${number(rate)} events/s`]
  if (dead > 0) parts.push(`dead letters ${number(dead)}`)
  return parts.join('  ·  ')
}

function total(all: Figures, of: (figures: Figures[number]['figures']) => number): number {
  return all.reduce((sum, { figures }) => sum + of(figures), 0)
}
