// A filter for tests that quotes its secret when it fails.
import { inspect } from 'node:util'
import { defineFilter } from '../../core/plugin/define.ts'

export default defineFilter({
  summary: 'Quotes its secret when it fails, for tests',
  options: {
    key: { type: 'string', secret: true, required: true, description: 'A secret' },
  },
  examples: [{ key: 'x' }],
  create: options => ({
    apply(event) {
      if (event.fields['fail'] === true) throw new Error(`${options.key} is no key; options were ${inspect(options)}`)
      return event
    },
  }),
})
