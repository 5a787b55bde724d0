// An input for tests that fails where it is told to, so many times over all starts of the program and of its pipeline.
import { appendFileSync, existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { defineInput } from '../../core/plugin/define.ts'

const RECORDS = 10

export default defineInput({
  summary: 'Makes numbered records and fails where it is told to, for tests',
  options: {
    folder: { type: 'string', format: 'path', required: true, description: 'Where it counts its failures' },
    where: {
      type: 'string',
      required: true,
      description: 'open, reopen, read, settled, close, timer, promise, nothing',
    },
    times: { type: 'integer', default: 1, description: 'How often it fails' },
    count: { type: 'integer', default: 100, description: 'How many records there are' },
    payload: { type: 'string', default: '', description: 'Stands in each of them' },
  },
  examples: [{ folder: '.', where: 'read' }],
  create({ folder, where, times, count, payload }) {
    const file = (name: string) => join(folder, `${where}-${name}`)
    const failures = (name = 'failures') => (existsSync(file(name)) ? statSync(file(name)).size : 0)
    /** True when it is time to fail here. */
    const due = (place: string) => {
      if (place !== where || failures() >= times) return false
      appendFileSync(file('failures'), 'x')
      return true
    }
    const fail = (place: string) => {
      if (due(place)) throw new TypeError(`${where} went wrong on purpose`)
    }
    /** Errors that come when nobody of the pipeline is on the stack; plugins of others throw what they like. */
    const later = (thrown: unknown) => {
      setTimeout(() => {
        throw thrown
      }, 1)
    }
    const outside = () => {
      if (due('timer')) later(new TypeError('timer went wrong on purpose'))
      if (due('nothing')) later(undefined)
      if (due('promise')) void Promise.reject(new TypeError('promise went wrong on purpose'))
    }
    return {
      open() {
        fail('open')
        // The second time that the pipeline is started: the first one fails later.
        if (where === 'reopen' && failures('opened') === 1) {
          appendFileSync(file('opened'), 'x')
          throw new TypeError('reopen went wrong on purpose')
        }
        if (where === 'reopen') appendFileSync(file('opened'), 'x')
      },
      async *read(positions, signal) {
        for (let n = Number(positions.get('') ?? 0); n < count && !signal.aborted; n += RECORDS) {
          if (where === 'reopen' && n >= 50 && failures() === 0) {
            appendFileSync(file('failures'), 'x')
            throw new TypeError('reading before reopen went wrong on purpose')
          }
          if (n >= 50) fail('read')
          if (n >= 50) outside()
          const lines: string[] = []
          for (let record = n; record < n + RECORDS; record++)
            lines.push(JSON.stringify({ n: record, event: { id: `e${record}` }, payload }))
          const bytes = Buffer.from(`${lines.join('\n')}\n`)
          const ends: number[] = []
          for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) ends.push(at)
          yield { bytes, ends: Uint32Array.from(ends), position: n + RECORDS }
          // Others get their turn, and what was thrown comes before the end.
          await new Promise(resolve => setTimeout(resolve, 5))
        }
      },
      settled() {
        fail('settled')
      },
      close() {
        fail('close')
      },
    }
  },
})
