// Values of events as values of columns: what fits goes as it is, what does not is refused with a sentence.
import { PermanentError } from '../../../core/plugin/errors.ts'
import type { ColumnType, Dialect, SqlValue } from './dialect.ts'
import { sqlTime } from './times.ts'

const [INT_MIN, INT_MAX] = [-(2 ** 31), 2 ** 31 - 1]
const [BIGINT_MIN, BIGINT_MAX] = [-(2n ** 63n), 2n ** 63n - 1n]
const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  ...([
    [true, true],
    [1, true],
    ['true', true],
    ['1', true],
  ] as const),
  ...([
    [false, false],
    [0, false],
    ['false', false],
    ['0', false],
  ] as const),
])

/** Makes the value of one column. `place` is for the error: `auditaad.Id`. */
export function converter(type: ColumnType, place: string, dialect: Dialect): (value: unknown) => SqlValue {
  const refuse = (value: unknown, why: string) => {
    throw new PermanentError(`${place}: ${shown(value)} ${why}`, { code: 'PEN_SQL_VALUE' })
  }
  const text = (value: unknown): string => {
    const found = typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value)
    const why = dialect.refuses(found)
    return why === undefined ? found : refuse(found, why)
  }
  const convert = CONVERT[type.name]
  if (type.name === 'text') return value => (value === undefined || value === null ? null : text(value))
  if (type.name === 'json') return value => (value === undefined ? null : JSON.stringify(value))
  if (type.name === 'string') {
    const { length = 0, fixed } = type
    return value => {
      if (value === undefined || value === null) return null
      const found = text(value)
      const characters = found.length <= length ? found.length : count(found, dialect)
      if (characters > length) return refuse(found, `has ${characters} characters, and the column takes ${length}`)
      if (fixed && /[^\x20-\x7e]/.test(found))
        return refuse(found, 'has other characters than letters, digits and signs of ASCII')
      return found
    }
  }
  // An empty text is what many a record has for no value at all.
  return value =>
    value === undefined || value === null || value === '' ? null : (convert?.(value) ?? refuse(value, WHY[type.name]))
}

const CONVERT: Readonly<Partial<Record<ColumnType['name'], (value: unknown) => SqlValue | undefined>>> = {
  integer(value) {
    const number = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value
    return typeof number === 'number' && Number.isInteger(number) && number >= INT_MIN && number <= INT_MAX ? number : undefined
  },
  bigint(value) {
    const digits = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
    if (typeof digits !== 'string' || !/^-?\d{1,19}$/.test(digits)) return undefined
    const number = BigInt(digits)
    return number >= BIGINT_MIN && number <= BIGINT_MAX ? String(number) : undefined
  },
  double(value) {
    const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    return typeof number === 'number' && Number.isFinite(number) ? number : undefined
  },
  boolean: value => BOOLEANS.get(typeof value === 'string' ? value.toLowerCase() : value),
  time: sqlTime,
}

const WHY: Readonly<Record<ColumnType['name'], string>> = {
  ...{ text: '', string: '', json: '' },
  integer: 'is no whole number of 32 bits',
  bigint: 'is no whole number of 64 bits',
  double: 'is no number',
  boolean: 'is neither true nor false',
  time: 'is no time such as 2026-05-01T09:12:33Z',
}

/** SQL Server counts units of UTF-16, the others characters. */
function count(text: string, { name }: Dialect): number {
  if (name === 'sqlserver') return text.length
  let characters = 0
  for (const _ of text) characters++
  return characters
}

/** A value for an error message: quoted, escaped, and cut where it is long. */
function shown(value: unknown): string {
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object'
  const text = String(value)
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
}
