// An output for tests whose write never ends.
import { writeFileSync } from 'node:fs'
import { defineOutput } from '../../core/plugin/define.ts'

export default defineOutput({
  summary: 'Never finishes a write, for tests',
  options: { mark: { type: 'string', format: 'path', required: true, description: 'File that is made when the write begins' } },
  examples: [{ mark: 'mark' }],
  create: ({ mark }) => ({
    encode(event, to) {
      to.json(event.fields)
      return undefined
    },
    write() {
      writeFileSync(mark, 'x')
      return new Promise(() => {})
    },
  }),
})
