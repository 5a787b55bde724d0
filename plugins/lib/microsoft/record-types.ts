// The audit record types: numbers and names. Where Microsoft's documentation and Graph disagree there is a number and no name.
import names from '../../../schemas/record-types.json' with { type: 'json' }

const byNumber = new Map<number, string>()
const byName = new Map<string, number>()
for (const [number, name] of Object.entries(names)) {
  byNumber.set(Number(number), name)
  byName.set(name.toLowerCase(), Number(number))
}

/** A record's type. `number` is -1 where there is none that is known. */
export interface RecordType {
  readonly number: number
  readonly name: string | undefined
}
const NONE: RecordType = { number: -1, name: undefined }
const types = new Map<unknown, RecordType>()
for (const [number, name] of byNumber) types.set(number, { number, name })

/** Reads `RecordType` as records have it: a number, the number as text, or the name in any case. */
export function recordType(value: unknown): RecordType {
  const known = types.get(value)
  if (known) return known
  if (typeof value === 'number') return { number: value, name: undefined }
  if (typeof value !== 'string' || value === '') return NONE
  const number = byName.get(value.toLowerCase()) ?? Number(value)
  if (Number.isInteger(number)) return types.get(number) ?? { number, name: undefined }
  return { number: -1, name: value }
}
