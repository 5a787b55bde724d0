// penstock state: the stored positions, to show and to reset.
import { visible } from '../observe/text.ts'
import type { Verb } from '../plugin/define.ts'
import { PenstockError } from '../plugin/errors.ts'
import type { JsonObject } from '../plugin/json.ts'
import { openStore } from '../state/store.ts'
import { commandLine, STATE_DIR } from './args.ts'
import { EXIT } from './exit-codes.ts'
import { columns, number } from './terminal.ts'

const usage = `Usage: penstock state show [--pipeline NAME] [--json] [--state-dir DIR]
       penstock state reset PIPELINE [--step ID] [--state-dir DIR]

  show    where every input goes on from; works beside a running engine
  reset   forgets positions and plugins' rows (dedupe keys, for example) of a pipeline, or of one step of it: its inputs are read from
          their beginning again. Only while no engine runs on this state directory. Dead letters stay. A damaged file of the
          directory is set aside under another name, and what can be read of it is kept.

Examples
  penstock state show
  penstock state reset quickstart
  penstock state reset o365_to_elastic --step dedupe`

export const verb: Verb = {
  summary: 'Show or reset the stored positions',
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
      const of = values.step === undefined ? name : `${name}/${values.step}`
      process.stdout.write(gone > 0 ? `${of}: ${number(gone)} rows forgotten\n` : `${of}: there was nothing to forget\n`)
      return gone > 0 || aside ? EXIT.ok : EXIT.failed
    } finally {
      await store.close()
    }
  },
}

async function show(folder: string, pipeline: string | undefined, json: boolean): Promise<number> {
  const store = await openStore(folder, { beside: true })
  try {
    const positions = (await store.allPositions()).filter(([name]) => (pipeline ?? name) === name)
    if (json) {
      for (const [name, input, partition, position, at] of positions) {
        process.stdout.write(`${JSON.stringify({ pipeline: name, input, partition, position, at })}\n`)
      }
      return EXIT.ok
    }
    if (positions.length === 0) process.stdout.write('no positions are stored\n')
    else {
      const rows = positions.map(([name, input, partition, position, at]) => [
        `${name}/${input}`,
        visible(partition),
        at,
        visible(JSON.stringify(position)),
      ])
      process.stdout.write(`${columns([['input', 'partition', 'stored', 'position'], ...rows])}\n`)
    }
    return EXIT.ok
  } finally {
    await store.close()
  }
}
