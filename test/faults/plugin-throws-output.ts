// An output for tests that fails where it is told to, so many times over all starts of the program and of its pipeline.
import { appendFileSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { defineOutput } from '../../core/plugin/define.ts'

export default defineOutput({
  summary: 'Writes ids into a ledger and fails where it is told to, for tests',
  options: {
    folder: {
      type: 'string',
      format: 'path',
      required: true,
      description: 'Where its ledger is, and where it counts its failures',
    },
    ledger: { type: 'string', required: true, description: 'Name of the ledger' },
    where: { type: 'string', default: '', description: 'write, late, timer' },
    times: { type: 'integer', default: 1, description: 'How often it fails' },
  },
  examples: [{ folder: '.', ledger: 'ledger' }],
  create({ folder, ledger, where, times }) {
    const counter = join(folder, `${ledger}-failures`)
    const due = (place: string) => {
      if (place !== where || (existsSync(counter) && statSync(counter).size >= times)) return false
      appendFileSync(counter, 'x')
      return true
    }
    const fail = () => {
      throw new TypeError(`${where} went wrong on purpose`)
    }
    return {
      encode(event, to) {
        to.json(event.fields)
        return undefined
      },
      // Not async: it throws before there is a promise.
      write(items) {
        if (due('write')) fail()
        return (async () => {
          if (due('timer')) {
            setTimeout(fail, 1)
            await new Promise(() => {})
          }
          appendFileSync(join(folder, ledger), items.map(({ id }) => `${id}\n`).join(''))
          if (due('late')) fail()
        })()
      },
    }
  },
})
