// Drops events.
import { defineFilter } from '../../core/plugin/define.ts'

export default defineFilter({
  summary: 'Drops events: every one, or with `when` those it is true for',
  options: {},
  examples: [{}],
  create() {
    return {
      apply() {
        return undefined
      },
    }
  },
})
