// Counts the values of fields, for tables at the end of a run.
import { defineOutput } from '../../core/plugin/define.ts'
import { OptionError } from '../../core/plugin/errors.ts'
import { fieldPath } from '../lib/field-path.ts'
import { slicesOf } from '../lib/slices.ts'

/** Distinct values of a table that are counted one by one. */
const DISTINCT = 10_000
/** Characters of a value that count. */
const LENGTH = 256

interface Count {
  /** The value as it was first seen. */
  readonly label: string
  count: number
}

export default defineOutput({
  summary: 'Counts the values of fields and prints them as tables at the end of a run',
  description: `
Each table counts the values of one field: text, numbers, true and false; of a list each value once. Events without the field are not
counted. The counts are those of one run: nothing of them is stored, and an event that is read again after a crash is counted by the run
that reads it. Of a table's values the first ${DISTINCT.toLocaleString('en')} different ones are counted one by one, the rest together.`,
  options: {
    tables: {
      type: 'array',
      required: true,
      minItems: 1,
      description: 'What is counted, in the order of printing',
      items: {
        type: 'object',
        properties: {
          title: { type: 'string', required: true, minLength: 1, description: 'Heading of the table' },
          field: { type: 'string', format: 'field', required: true, description: 'Field whose values are counted' },
          when: { type: 'string', format: 'expression', description: 'Counts only the events that this expression is true for' },
          top: {
            type: 'integer',
            minimum: 1,
            maximum: 1000,
            default: 10,
            description: 'How many values are printed, the most frequent first',
          },
          ignore_case: { type: 'boolean', default: false, description: 'Counts values together that differ in case only' },
        },
      },
    },
  },
  examples: [
    {
      tables: [
        { title: 'By workload', field: 'o365.audit.Workload' },
        { title: 'Failed logins', field: 'user.email', when: 'event.outcome == "failure"', top: 5, ignore_case: true },
      ],
    },
  ],
  create({ tables }, site) {
    const titles = new Set<string>()
    const counters = tables.map(({ title, field, when, top = 10, ignore_case: fold = false }, i) => {
      if (titles.has(title)) throw new OptionError(`tables[${i}].title`, `"${title}" is the title of an earlier table`)
      titles.add(title)
      const path = fieldPath(field, `tables[${i}].field`)
      const takes = when === undefined ? undefined : site.expression(when, `tables[${i}].when`)
      return { title, path, takes, top, fold, counts: new Map<string, Count>(), others: 0 }
    })

    const add = (counter: (typeof counters)[number], value: string) => {
      const key = counter.fold ? value.toLowerCase() : value
      const found = counter.counts.get(key)
      if (found) found.count++
      else if (counter.counts.size < DISTINCT) counter.counts.set(key, { label: value, count: 1 })
      else counter.others++
    }

    return {
      /** One JSON array and a comma: for each table a value, a list of values, or null. */
      encode(event, to) {
        to.json(counters.map(({ path, takes }) => (takes && !takes(event) ? null : countable(path.get(event.fields)))))
        to.byte(COMMA)
        return undefined
      },
      async write(items) {
        for (const slice of slicesOf(items)) {
          const text = Buffer.from(slice.buffer, slice.byteOffset, slice.byteLength - 1).toString()
          for (const values of JSON.parse(`[${text}]`) as (string | string[] | null)[][]) {
            for (let i = 0; i < counters.length; i++) {
              const value = values[i]
              const counter = counters[i] as (typeof counters)[number]
              if (typeof value === 'string') add(counter, value)
              else if (value) for (const each of value) add(counter, each)
            }
          }
        }
      },
      summary: () =>
        counters.map(({ title, top, counts, others }) => ({
          title,
          rows: rowsOf([...counts.values()], top, others),
          bars: true,
        })),
    }
  },
})

const COMMA = 0x2c

function countable(value: unknown): string | string[] | null {
  if (!Array.isArray(value)) return scalar(value) ?? null
  return [...new Set(value.map(scalar).filter(text => text !== undefined))]
}

function scalar(value: unknown): string | undefined {
  if (value === undefined || value === null || typeof value === 'object' || value === '') return undefined
  const text = String(value)
  return text.length > LENGTH ? `${text.slice(0, LENGTH - 1).toWellFormed()}…` : text
}

/** The most frequent first, those of one count by name; what is left over as one row. */
function rowsOf(counts: readonly Count[], top: number, others: number): [string, number][] {
  const sorted = counts.toSorted((a, b) => b.count - a.count || (a.label < b.label ? -1 : 1))
  const rows = sorted.slice(0, top).map(({ label, count }): [string, number] => [label, count])
  const rest = sorted.slice(top).reduce((sum, { count }) => sum + count, others)
  const values = others > 0 ? 'more' : counts.length - top
  return rest > 0 ? [...rows, [`other (${values} values)`, rest]] : rows
}
