// JSON files as a table: an object by its keys, or a list or lines of objects by one of their fields.
import { defineTable } from '../../core/plugin/define.ts'
import { asError, OptionError } from '../../core/plugin/errors.ts'
import { isObject } from '../../core/plugin/json.ts'
import { type FieldPath, fieldPath } from '../lib/field-path.ts'
import { type AddRow, loadTableFile, tableFileOptions, viewTableFile } from '../lib/table-file.ts'

/** What is parsed in one piece: a longer file belongs into lines. UTF-16 units. */
const MAX_CHARS = 256 * 1024 * 1024
const MAX_LINE_CHARS = 16 * 1024 * 1024

export default defineTable({
  summary: 'Looks rows up in a JSON file',
  description:
    'Without `key` the file is one object, whose names are the keys: `{"10.1.0.0": {"site": "Leeds"}}`; a value that is no object ' +
    'becomes the row `{"value": …}`. With `key` it is a list of objects, or one object a line (NDJSON), and the field at `key` is the ' +
    'key, text or a number; a row without one is passed over. The file is held in memory, shared by all workers, and read again when ' +
    'it changes; a damaged file is refused, and the old one stays in use.',
  options: {
    path: { type: 'string', format: 'path', required: true, description: 'The JSON file' },
    key: {
      type: 'string',
      format: 'field',
      description: 'Field of each row that holds its key; the names of the object when absent',
    },
    ...tableFileOptions,
  },
  examples: [{ path: 'sites.json' }, { path: 'users.ndjson', key: 'user.email', ignore_case: true }],
  create(options) {
    const key = options.key === undefined ? undefined : fieldPath(options.key, 'key')
    if (key?.segments.some(segment => typeof segment === 'number'))
      throw new OptionError('key', `"${key.text}" leads into a list`)
    return {
      files: [options.path],
      load: signal => loadTableFile(options, signal, (text, add) => (key ? rowsBy(key, text, add) : rowsOfObject(text, add))),
      view: image => viewTableFile(options, image),
    }
  },
})

async function rowsOfObject(text: AsyncIterable<string>, add: AddRow): Promise<void> {
  const all = parseWhole(await whole(text, ''))
  if (!isObject(all)) throw new Error('it holds no object; give the option key for a list of rows')
  for (const name of Object.keys(all)) {
    const value = all[name]
    add(name, isObject(value) ? value : { value })
  }
}

async function rowsBy(key: FieldPath, text: AsyncIterable<string>, add: AddRow): Promise<void> {
  const pieces = text[Symbol.asyncIterator]()
  const rest = { [Symbol.asyncIterator]: () => pieces }
  let start = ''
  while (start.trim() === '') {
    const { value, done } = await pieces.next()
    if (done) throw new Error('it is empty')
    start += value
  }
  const row = (value: unknown, place: () => string): void => {
    if (!isObject(value)) throw new Error(`${place()} is no object`)
    add(key.get(value), value)
  }
  if (!start.trimStart().startsWith('[')) {
    await forEachLine(start, rest, row)
    return
  }
  const rows = parseWhole(await whole(rest, start)) as unknown[]
  for (const [index, value] of rows.entries()) row(value, () => `row ${index + 1} of the list`)
}

async function forEachLine(
  start: string,
  rest: AsyncIterable<string>,
  row: (value: unknown, place: () => string) => void,
): Promise<void> {
  let number = 0
  const line = (text: string) => {
    number++
    if (text.trim() === '') return
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (cause) {
      throw new Error(
        `line ${number} is no JSON (${asError(cause).message}); with the option key the file is a list, or one object a line`,
        { cause },
      )
    }
    row(value, () => `line ${number}`)
  }
  let open = start
  const lines = () => {
    const parts = open.split('\n')
    open = parts.pop() as string
    for (const part of parts) line(part)
    if (open.length > MAX_LINE_CHARS) throw new Error(`line ${number + 1} is longer than ${MAX_LINE_CHARS} characters`)
  }
  lines()
  for await (const piece of rest) {
    open += piece
    lines()
  }
  line(open)
}

async function whole(text: AsyncIterable<string>, start: string): Promise<string> {
  let all = start
  for await (const piece of text) {
    all += piece
    if (all.length > MAX_CHARS)
      throw new Error(`it is longer than ${MAX_CHARS} characters; write it as one object a line and give the option key`)
  }
  return all
}

function parseWhole(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Error(`it is no JSON (${asError(cause).message})`, { cause })
  }
}
