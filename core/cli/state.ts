// penstock state: the stored positions and the disk queues, to show and to reset.
import { visible } from '../observe/text.ts'
import type { Verb } from '../plugin/define.ts'
import { PenstockError } from '../plugin/errors.ts'
import { isObject, type JsonObject } from '../plugin/json.ts'
import { openStore } from '../state/store.ts'
import type { Store } from '../state/types.ts'
import { commandLine, STATE_DIR } from './args.ts'
import { EXIT } from './exit-codes.ts'
import { bytes, columns, number } from './terminal.ts'

/** Begins the keys of rows that plugins keep for people. */
const SHOWN = 'shown/'

const usage = `Usage: penstock state show [--pipeline NAME] [--json] [--state-dir DIR]
       penstock state reset PIPELINE [--step ID] [--state-dir DIR]

  show    where every input goes on from, what plugins say of how far they are, and what lies in the disk queues of outputs; works beside
          a running engine
  reset   forgets positions and plugins' rows (dedupe keys, for example) of a pipeline, or of one step of it: its inputs are read from
          their beginning again. Only while no engine runs on this state directory. Dead letters stay, and so do the events in disk
          queues, unless --step names their output. A damaged file of the directory is set aside under another name, and what can
          be read of it is kept.

Examples
  penstock state show
  penstock state reset quickstart
  penstock state reset o365_to_elastic --step dedupe
  penstock state reset o365_to_elastic --step old_siem    # and the events in the disk queue of that output`

export const verb: Verb = {
  summary: 'Show or reset the stored positions and the disk queues',
  usage,
  async run(args) {
    const { values, positionals } = commandLine(args, {
      'state-dir': STATE_DIR,
      pipeline: { type: 'string' },
      step: { type: 'string' },
      json: { type: 'boolean', default: false },
    })
    const [action, name] = positionals
    if (action === 'show') return show(values['state-dir'], values.pipeline ?? name, values.json)
    if (action !== 'reset') throw new PenstockError('PEN_USAGE', 'state needs show or reset (penstock state --help)')
    if (name === undefined)
      throw new PenstockError('PEN_USAGE', 'state reset needs the name of a pipeline, as state show prints it')
    let aside = false
    const say = (_fields: JsonObject, message: string) => {
      aside = true
      process.stderr.write(`${message}\n`)
    }
    const log = { debug() {}, info: say, warn: say, error: say }
    const store = await openStore(values['state-dir'], { setAside: true, log })
    try {
      const gone = await store.reset(name, values.step)
      const events = values.step === undefined ? 0 : await store.dropQueue(name, values.step)
      const of = values.step === undefined ? name : `${name}/${values.step}`
      if (gone > 0) process.stdout.write(`${of}: ${number(gone)} rows forgotten\n`)
      if (events > 0) process.stdout.write(`${of}: ${number(events)} events in its disk queue forgotten\n`)
      if (gone + events === 0) process.stdout.write(`${of}: there was nothing to forget\n`)
      return gone + events > 0 || aside ? EXIT.ok : EXIT.failed
    } finally {
      await store.close()
    }
  },
}

async function show(folder: string, pipeline: string | undefined, json: boolean): Promise<number> {
  const store = await openStore(folder, { beside: true })
  try {
    const positions = (await store.allPositions()).filter(([name]) => (pipeline ?? name) === name)
    const shown = await shownRows(store, pipeline)
    const queues = (await store.queues()).filter(queue => (pipeline ?? queue.pipeline) === queue.pipeline)
    if (json) {
      for (const [name, input, partition, position, at] of positions)
        process.stdout.write(`${JSON.stringify({ pipeline: name, input, partition, position, at })}\n`)
      for (const [step, name, part, facts] of shown) process.stdout.write(`${JSON.stringify({ step, name, part, ...facts })}\n`)
      for (const queue of queues) process.stdout.write(`${JSON.stringify(queue)}\n`)
      return EXIT.ok
    }
    if (positions.length === 0 && shown.length === 0) process.stdout.write('no positions are stored\n')
    if (positions.length > 0) {
      const rows = positions.map(([name, input, partition, position, at]) => [
        `${name}/${input}`,
        visible(partition),
        at,
        visible(JSON.stringify(position)),
      ])
      process.stdout.write(`${columns([['input', 'partition', 'stored', 'position'], ...rows])}\n`)
    }
    if (shown.length > 0) {
      const names = [...new Set(shown.flatMap(([, , , facts]) => Object.keys(facts)))]
      const rows = shown.map(([step, name, part, facts]) =>
        [step, name, part, ...names.map(key => String(facts[key] ?? ''))].map(visible),
      )
      if (positions.length > 0) process.stdout.write('\n')
      process.stdout.write(`${columns([['step', 'of', 'part', ...names], ...rows])}\n`)
    }
    if (queues.length > 0) {
      const rows = queues.map(({ pipeline, output, events, bytes: size, oldest, why }) => [
        ...[`${pipeline}/${output}`, number(events), bytes(size)],
        why === undefined ? (oldest === undefined ? '' : new Date(oldest).toISOString()) : visible(why),
      ])
      process.stdout.write(`\n${columns([['disk queue', 'events', 'size', 'oldest'], ...rows], [1, 2])}\n`)
    }
    return EXIT.ok
  } finally {
    await store.close()
  }
}

/** What plugins keep to be shown: rows `shown/NAME`, a map of parts, each with its facts. */
async function shownRows(store: Store, pipeline: string | undefined): Promise<(readonly [string, string, string, JsonObject])[]> {
  const found: (readonly [string, string, string, JsonObject])[] = []
  for (const scope of await store.scopes()) {
    if (pipeline !== undefined && !scope.startsWith(`${pipeline}/`)) continue
    for (const [key, value] of await store.list(scope, SHOWN))
      if (isObject(value))
        for (const [part, facts] of Object.entries(value))
          if (isObject(facts)) found.push([scope, key.slice(SHOWN.length), part, facts])
  }
  return found
}
