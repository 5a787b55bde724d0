// An output for tests that behaves badly on purpose: it sleeps, throws before and after it has delivered, and refuses items.
// What it delivers it appends to a ledger: an id a line.
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineOutput } from '../../core/plugin/define.ts'
import { PermanentError, RetryableError } from '../../core/plugin/errors.ts'

export default defineOutput({
  summary: 'Behaves badly on purpose, for tests',
  options: {
    ledger: { type: 'string', format: 'path', required: true, description: 'File that gets the ids of what was delivered' },
    seed: { type: 'integer', default: 1, description: 'Other seeds misbehave at other times' },
    refuse: { type: 'string', default: '', description: 'Items whose id ends in this text are refused for good' },
    rate: { type: 'number', default: 0.3, description: 'Share of writes that go wrong' },
  },
  examples: [{ ledger: 'ledger.txt' }],
  create({ ledger, seed, refuse, rate }) {
    let state = seed
    const random = () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      return state / 2 ** 32
    }
    return {
      encode(event, to) {
        to.json(event.fields)
        return undefined
      },
      async write(items, reject) {
        if (random() < rate) await sleep(random() * 5)
        if (random() < rate / 2) throw new RetryableError('not now', { after: 1 })
        const lines: string[] = []
        items.forEach(({ id }, index) => {
          if (refuse && id.endsWith(refuse)) reject(index, new PermanentError('refused on purpose'))
          else if (random() < rate / 20) reject(index, new RetryableError('busy'))
          else lines.push(`${id}\n`)
        })
        appendFileSync(ledger, lines.join(''))
        // Delivered, but the engine is told otherwise: it must send all again.
        if (random() < rate / 2) throw new RetryableError('answer lost', { after: 1 })
      },
    }
  },
})
