// An output for tests that says what events hold wherever an output can say something: log, health, errors, its summary.
import { defineOutput } from '../../core/plugin/define.ts'
import { PermanentError } from '../../core/plugin/errors.ts'
import type { Context } from '../../core/plugin/interfaces.ts'

export default defineOutput({
  summary: 'Repeats what events hold, for tests',
  options: {},
  examples: [{}],
  create() {
    let context: Context | undefined
    const said: string[] = []
    return {
      open(given) {
        context = given
      },
      encode(event, to) {
        to.json(event.fields)
        return undefined
      },
      async write(items, reject) {
        items.forEach(({ bytes }, index) => {
          const { say, refuse = '' } = JSON.parse(Buffer.from(bytes).toString()) as { say: string; refuse?: string }
          const circle: Record<string, unknown> = { say }
          circle['self'] = circle
          context?.log.warn({ user: say, nested: { user: [say] }, [say]: 1, circle }, `about ${say}`)
          context?.health('degraded', `because of ${say}`)
          said.push(say)
          if (refuse) reject(index, new PermanentError(`refused ${refuse}`, { code: refuse }))
        })
      },
      summary: () => ({ title: `Said ${said[0]}`, rows: said.map(text => [text, text] as const) }),
    }
  },
})
