// penstock setup: prepares the destination of an output, with what its plugin brings for that.
import { didYouMean } from '../config/suggest.ts'
import type { Verb } from '../plugin/define.ts'
import { PenstockError } from '../plugin/errors.ts'
import { listPlugins } from '../plugin/registry.ts'
import { EXIT } from './exit-codes.ts'
import { columns } from './terminal.ts'

const usage = `Usage: penstock setup OUTPUT PIPELINE [ARGUMENT …]

Makes what the outputs of one type need at their destinations: templates, tables and the like, as the pipeline file says. It never takes away
or changes what somebody else made. penstock setup lists the types; penstock setup OUTPUT --help explains one.

Examples
  penstock setup elasticsearch o365.yaml --dry-run
  penstock setup sql o365.yaml`

export const verb: Verb = {
  summary: 'Make what an output needs at its destination: templates, tables',
  usage,
  async run([name, ...args]) {
    const known = new Map(
      (await listPlugins('output')).flatMap(({ name, plugin }) => (plugin.setup ? [[name, plugin.setup]] : [])),
    )
    if (name === undefined) {
      process.stdout.write(`${columns([...known].map(([name, { summary }]) => [name, summary]))}\n`)
      return EXIT.usage
    }
    const setup = known.get(name)
    if (!setup)
      throw new PenstockError(
        'PEN_USAGE',
        `there is nothing to set up for ${name}${didYouMean(name, [...known.keys()])} (penstock setup lists what there is)`,
      )
    if (args.includes('--help') || args.includes('-h')) {
      process.stdout.write(`${setup.summary}.\n\n${setup.usage.trim()}\n`)
      return EXIT.ok
    }
    return setup.run(args)
  },
}
