// An output for tests that throws where nobody can catch it: in a timer of its own.
import { defineOutput } from '../../core/plugin/define.ts'

export default defineOutput({
  summary: 'Throws in a timer, for tests',
  options: {},
  examples: [{}],
  create: () => ({
    encode(event, to) {
      to.json(event.fields)
      return undefined
    },
    write() {
      setTimeout(() => {
        throw new Error('nobody caught this')
      }, 1)
      return new Promise(() => {})
    },
  }),
})
