// An output for tests that is down until a file appears: it waits, or it fails; then it writes the ids of what it got into a ledger.
import { appendFileSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineOutput } from '../../core/plugin/define.ts'
import { RetryableError } from '../../core/plugin/errors.ts'

export default defineOutput({
  summary: 'Is down until a file appears, for tests',
  options: {
    folder: { type: 'string', format: 'path', required: true, description: 'Where `open`, `ledger` and `tries` are' },
    down: { type: 'string', enum: ['waits', 'fails'], default: 'waits', description: 'What a write does before there is `open`' },
    delay_ms: { type: 'integer', default: 0, description: 'How long each write takes afterwards' },
  },
  examples: [{ folder: '.' }],
  create({ folder, down, delay_ms }) {
    const isOpen = () => existsSync(join(folder, 'open'))
    const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
    return {
      encode(event, to) {
        to.json(event.fields)
        return undefined
      },
      async write(items, _reject, signal) {
        appendFileSync(join(folder, 'tries'), `${items.length}\n`)
        if (down === 'fails' && !isOpen()) throw new RetryableError('the gate is closed')
        while (!isOpen() && !signal.aborted) await sleep(5)
        signal.throwIfAborted()
        if (delay_ms > 0) await sleep(delay_ms)
        appendFileSync(join(folder, 'ledger'), items.map(({ id }) => `${id}\n`).join(''))
      },
    }
  },
})
