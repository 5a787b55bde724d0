// Takes fields out of events.
import { defineFilter } from '../../core/plugin/define.ts'
import { type FieldPath, fieldPath } from '../lib/field-path.ts'

export default defineFilter({
  summary: 'Takes fields out of events',
  description: 'An object that is empty then stays. A field that an event lacks is passed over.',
  options: {
    fields: {
      type: 'array',
      items: { type: 'string', format: 'field' },
      minItems: 1,
      required: true,
      description: 'Fields to take out, with everything below them',
    },
  },
  examples: [{ fields: ['event.original', 'o365.audit.ExtendedProperties'] }],
  create({ fields }) {
    // The last elements of a list go first: the others then keep their places until their turn.
    const paths = fields.map((field, index) => fieldPath(field, `fields[${index}]`)).sort(lastFirst)
    return {
      apply(event) {
        for (const path of paths) path.remove(event.fields)
        return event
      },
    }
  },
})

function lastFirst({ segments: a }: FieldPath, { segments: b }: FieldPath): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const one = a[i] as string | number
    const other = b[i] as string | number
    if (one === other) continue
    if (typeof one === 'number') return typeof other === 'number' ? other - one : -1
    return typeof other === 'number' || one > other ? 1 : -1
  }
  return a.length - b.length
}
