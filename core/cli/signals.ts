// SIGTERM and SIGINT: the first one stops with care, a second one ends the process at once.
import { performance } from 'node:perf_hooks'

/** A terminal and the programs between (npm) may deliver one Ctrl-C twice: so soon it is still the first. Milliseconds. */
const SAME_MS = 100

export function onSignals(stop: () => void): { off(): void } {
  let first: number | undefined
  const heard = (signal: NodeJS.Signals, code: number) => () => {
    const now = performance.now()
    if (first === undefined) {
      first = now
      stop()
    } else if (now - first > SAME_MS) {
      process.stderr.write(`penstock: second ${signal}, ending at once; what was not delivered is read again at the next start\n`)
      process.exit(code)
    }
  }
  const interrupt = heard('SIGINT', 130)
  const terminate = heard('SIGTERM', 143)
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', terminate)
  return {
    off() {
      process.off('SIGINT', interrupt)
      process.off('SIGTERM', terminate)
    },
  }
}
