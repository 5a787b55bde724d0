// Gives fields other names.
import { defineFilter } from '../../core/plugin/define.ts'
import { OptionError, PermanentError } from '../../core/plugin/errors.ts'
import { fieldPath } from '../lib/field-path.ts'

export default defineFilter({
  summary: 'Gives fields other names, or moves them elsewhere',
  description:
    'All fields are taken out first and put in place then, so that two can change places. A field that an event lacks is passed ' +
    'over. Where something on the way to the new name is no object the event goes to the dead letters.',
  options: {
    fields: {
      type: 'object',
      required: true,
      additionalProperties: { type: 'string', format: 'field' },
      description: 'Field → its new name, both as whole paths',
    },
    overwrite: {
      type: 'boolean',
      default: true,
      description: 'Replace a value that the new name has already; otherwise the field stays where it is',
    },
  },
  examples: [{ fields: { ClientIP: 'source.ip', 'Item.Subject': 'email.subject' } }],
  create({ fields, overwrite }) {
    const moves = Object.entries(fields).map(([from, to]) => {
      const option = `fields[${JSON.stringify(from)}]`
      const move = { from: fieldPath(from, option), to: fieldPath(to, option) }
      // Taking one element out would give the others new places before their turn.
      if (typeof move.from.segments.at(-1) === 'number')
        throw new OptionError(option, `"${from}" is an element of a list, which has no name`)
      return move
    })
    if (moves.length === 0) throw new OptionError('fields', 'names no field')
    const taken: unknown[] = new Array(moves.length)
    return {
      apply(event) {
        const { fields } = event
        let any = false
        for (let i = 0; i < moves.length; i++) {
          const value = (moves[i] as (typeof moves)[number]).from.remove(fields)
          taken[i] = value
          any ||= value !== undefined
        }
        if (!any) return event
        for (let i = 0; i < moves.length; i++) {
          const value = taken[i]
          if (value === undefined) continue
          taken[i] = undefined
          const { from, to } = moves[i] as (typeof moves)[number]
          const target = overwrite || (to.get(fields) ?? undefined) === undefined ? to : from
          if (!target.set(fields, value)) {
            throw new PermanentError(`${from.text} cannot become ${to.text}, because something on the way there is no object`)
          }
        }
        return event
      },
    }
  },
})
