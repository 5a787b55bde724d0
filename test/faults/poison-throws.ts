// A filter for tests that throws what an event's `throw` says: everything that JavaScript lets be thrown.
import { defineFilter } from '../../core/plugin/define.ts'

const THROWN: Readonly<Record<string, () => unknown>> = {
  error: () => new Error('on purpose'),
  text: () => 'only text',
  undefined: () => undefined,
  null: () => null,
  symbol: () => Symbol('on purpose'),
  'no prototype': () => Object.create(null),
  'message is an object': () => Object.assign(new Error(), { message: { toString: () => 'an object' } }),
  'message is absent': () => Object.assign(new Error(), { message: undefined }),
  'message of 3 MB': () => new Error('long '.repeat(600_000)),
  'message with controls': () => new Error('two\nlines\u001b[31m\u0000\u202e'),
  'code with controls': () => Object.assign(new Error('odd code'), { code: 'X\n\u001b[31m' }),
  'half a character': () => new Error('half \ud800'),
}

export default defineFilter({
  summary: 'Throws what the event says, for tests',
  options: {},
  examples: [{}],
  create: () => ({
    apply(event) {
      const how = event.fields['throw']
      if (how === 'stack overflow') endless(0)
      // Ends the worker that it runs in.
      if (how === 'end') process.exit(3)
      if (how === 'fields are null') event.fields = JSON.parse('null')
      else if (typeof how === 'string') throw THROWN[how]?.() ?? undefined
      return event
    },
  }),
})

/** Every way to fail that an event can ask for. */
export const WAYS = [...Object.keys(THROWN), 'stack overflow', 'fields are null']

function endless(depth: number): number {
  return endless(depth + 1) + 1
}
