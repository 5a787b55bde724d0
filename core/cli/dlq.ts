// penstock dlq: the dead letters, to list, show, replay and purge. Works beside a running engine.
import { visible } from '../observe/text.ts'
import type { Verb } from '../plugin/define.ts'
import { PenstockError } from '../plugin/errors.ts'
import { openStore } from '../state/store.ts'
import type { LetterFilter, Store, StoredLetter } from '../state/types.ts'
import { commandLine, STATE_DIR, wholeNumber } from './args.ts'
import { EXIT } from './exit-codes.ts'
import { bytes, columns, commandName, number, painter } from './terminal.ts'

const usage = `Usage: penstock dlq list|show|replay|purge [ID …] [OPTION …]

Dead letters are events that could not be handled: kept durably, with the step, the error and the source bytes.

  list              what lies there, by step and error, and the latest letters
  show ID …         one letter whole: where it came from, why it is there, its source bytes
  replay ID …|--all sends letters through the pipeline again when it runs (now, if it is running); a letter that an output refused goes
                    to that output only. A letter that fails again is a new letter; nothing is replayed by itself.
  purge ID …|--all  forgets letters for good

Options
  --state-dir DIR   (default: state)
  --pipeline NAME   only letters of this pipeline
  --step ID         only letters of this step
  --before TIME     only letters written before (ISO 8601)
  --limit N         list: how many letters (default: 20)
  --all             replay, purge: all letters that the other options leave
  --json            list, show: NDJSON, one letter a line; source bytes as base64

Examples
  penstock dlq list
  penstock dlq show 1
  penstock dlq replay --all --step siem
  penstock dlq purge --all --before 2026-01-01T00:00:00Z`

export const verb: Verb = {
  summary: 'List, show, replay and purge dead letters',
  usage,
  async run(args) {
    const { values, positionals } = commandLine(args, {
      'state-dir': STATE_DIR,
      pipeline: { type: 'string' },
      step: { type: 'string' },
      before: { type: 'string' },
      limit: { type: 'string', default: '20' },
      all: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    })
    const [action, ...idTexts] = positionals
    const ids = idTexts.map(id => wholeNumber('an id', id))
    if (action !== 'list' && action !== 'show' && action !== 'replay' && action !== 'purge') {
      throw new PenstockError('PEN_USAGE', 'dlq needs list, show, replay or purge (penstock dlq --help)')
    }
    if (action === 'show' && ids.length === 0) throw new PenstockError('PEN_USAGE', 'dlq show needs the ids that dlq list prints')
    if ((action === 'replay' || action === 'purge') && ids.length === 0 && !values.all) {
      throw new PenstockError('PEN_USAGE', `dlq ${action} needs ids, or --all`)
    }
    if (values.before !== undefined && Number.isNaN(Date.parse(values.before))) {
      throw new PenstockError('PEN_USAGE', `--before takes a time such as 2026-01-31T00:00:00Z; got ${values.before}`)
    }
    const filter: LetterFilter = {
      ...(ids.length > 0 && { ids }),
      ...(values.pipeline !== undefined && { pipeline: values.pipeline }),
      ...(values.step !== undefined && { step: values.step }),
      ...(values.before !== undefined && { before: new Date(values.before).toISOString() }),
    }
    const store = await openStore(values['state-dir'], { beside: true })
    try {
      if (action === 'list') return await list(store, filter, wholeNumber('--limit', values.limit), values.json)
      if (action === 'show') return await show(store, filter, values.json)
      const count = action === 'replay' ? await store.letters.mark(filter) : await store.letters.remove(filter)
      const done = action === 'replay' ? 'marked; the pipeline reads them when it runs' : 'forgotten'
      process.stdout.write(`${number(count)} dead letter${count === 1 ? '' : 's'} ${done}\n`)
      return count > 0 || values.all ? EXIT.ok : EXIT.failed
    } finally {
      await store.close()
    }
  },
}

async function list(store: Store, filter: LetterFilter, limit: number, json: boolean): Promise<number> {
  const letters = await store.letters.list({ ...filter, limit })
  if (json) {
    for (const letter of letters) process.stdout.write(`${asJson(letter)}\n`)
    return EXIT.ok
  }
  const counts = (await store.letters.counts()).filter(
    ({ pipeline, step }) => (filter.pipeline ?? pipeline) === pipeline && (filter.step ?? step) === step,
  )
  if (counts.length === 0) {
    process.stdout.write('no dead letters\n')
    return EXIT.ok
  }
  const paint = painter(process.stdout)
  const all = counts.reduce((sum, { count }) => sum + count, 0)
  const totals = counts.map(one => [one.pipeline, one.step, visible(one.code), number(one.count), bytes(one.bytes)])
  process.stdout.write(
    `${paint('bold', `${number(all)} dead letter${all === 1 ? '' : 's'}`)}\n${columns([['pipeline', 'step', 'code', 'count', 'size'], ...totals], [3, 4], '  ')}\n\n`,
  )
  for (const letter of letters) process.stdout.write(`${headline(letter, paint)}\n`)
  if (letters.length < all) process.stdout.write(`  … and ${number(all - letters.length)} more (--limit)\n`)
  process.stdout.write(`\nLook at one: ${commandName()} dlq show ${letters[0]?.id ?? 'ID'}\n`)
  return EXIT.ok
}

function headline(letter: StoredLetter, paint: ReturnType<typeof painter>): string {
  const mark = letter.damaged ? ' (damaged on the disk: not replayed)' : letter.replay ? ' (marked for replay)' : ''
  return `${paint('bold', `#${letter.id}`)}  ${letter.at}  ${letter.pipeline}/${letter.step}  ${visible(place(letter))}${mark}\n     ${paint('red', visible(letter.error))}`
}

function place({ meta, offset }: StoredLetter): string {
  const path = typeof meta.path === 'string' ? meta.path : ''
  return offset === undefined ? path : `${path} at byte ${number(offset)}`
}

async function show(store: Store, filter: LetterFilter, json: boolean): Promise<number> {
  const letters = await store.letters.list(filter)
  const paint = painter(process.stdout)
  for (const letter of letters) {
    if (json) {
      process.stdout.write(`${asJson(letter)}\n`)
      continue
    }
    const { id, at, pipeline, step, stage, input, event, code, error, meta, offset, length, sha256, tries } = letter
    const rows = [
      ['written', at],
      ['pipeline', pipeline],
      [
        'step',
        `${step} (${stage === 'decode' ? 'the record could not be read' : stage === 'output' ? 'the destination refused it' : 'a filter failed'})`,
      ],
      ['error', `${code}: ${error}`],
      ['input', input],
      ...(event === undefined ? [] : [['event', event]]),
      ...(offset === undefined ? [] : [['offset', `${number(offset)} bytes`]]),
      [
        'length',
        `${number(length)} bytes${letter.bytes.length < length ? `, of which the first ${number(letter.bytes.length)} were kept` : ''}`,
      ],
      ...(sha256 === undefined ? [] : [['sha256', sha256]]),
      ['replayed', tries === 0 ? 'never' : `${tries} times`],
      ...(letter.damaged ? [['damaged', 'its checksum does not fit: the disk changed it, and it is not replayed']] : []),
      ...Object.entries(meta).map(([key, value]) => [`meta.${key}`, typeof value === 'string' ? value : JSON.stringify(value)]),
    ].map(([label = '', value = '']) => [label, visible(value)])
    const source = Buffer.from(letter.bytes).toString('utf8')
    process.stdout.write(`${paint('bold', `dead letter #${id}`)}\n${columns(rows, [], '  ')}\n\n${visible(source)}\n\n`)
  }
  const found = new Set(letters.map(({ id }) => id))
  const missing = (filter.ids ?? []).filter(id => !found.has(id))
  if (missing.length > 0) process.stderr.write(`no dead letter ${missing.join(', ')}\n`)
  return missing.length > 0 ? EXIT.failed : EXIT.ok
}

function asJson(letter: StoredLetter): string {
  return JSON.stringify({ ...letter, bytes: Buffer.from(letter.bytes).toString('base64') })
}
