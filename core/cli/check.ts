// penstock check: finds every mistake in pipelines before anything runs.
import { loadPipeline } from '../config/load.ts'
import { headline } from '../config/problem.ts'
import type { PipelineConfig } from '../config/types.ts'
import { visible } from '../observe/text.ts'
import type { Verb } from '../plugin/define.ts'
import { asError, PenstockError } from '../plugin/errors.ts'
import { openStore } from '../state/store.ts'
import { commandLine } from './args.ts'
import { EXIT } from './exit-codes.ts'
import { leftBehind } from './queues.ts'
import { painter } from './terminal.ts'
import { tell } from './verbs.ts'

const usage = `Usage: penstock check PIPELINE … [--state-dir DIR]

Reads pipelines as run would: YAML, options of every plugin, expressions, templates, environment and secrets, tables, routes. All mistakes
of a file are shown at once, each with file:line:column, the line, and what was probably meant. Nothing is opened and nothing runs.
With --state-dir it also names the disk queues there that hold events and that no output of these pipelines empties.

Examples
  penstock check pipelines/quickstart.yaml
  penstock check pipelines/*.yaml`

export const verb: Verb = {
  summary: 'Find every mistake in pipelines before they run',
  usage,
  async run(args) {
    const { values, positionals } = commandLine(args, { 'state-dir': { type: 'string' } })
    if (positionals.length === 0) throw new PenstockError('PEN_USAGE', 'check needs a pipeline file (penstock check --help)')
    const paint = painter(process.stdout)
    const configs: PipelineConfig[] = []
    let code: number = EXIT.ok
    for (const file of positionals) {
      try {
        const { config, warnings } = await loadPipeline(file)
        configs.push(config)
        process.stdout.write(`${paint('green', 'ok')}  ${visible(file)}: ${shape(config)}\n`)
        for (const warning of warnings) process.stdout.write(`    ${paint('yellow', 'warning')}: ${headline(warning)}\n`)
      } catch (error) {
        code = tell(asError(error))
      }
    }
    if (values['state-dir'] !== undefined) {
      const store = await openStore(values['state-dir'], { beside: true })
      try {
        for (const [, line] of leftBehind(await store.queues(), configs))
          process.stdout.write(`${paint('yellow', 'warning')}: ${line}\n`)
      } finally {
        await store.close()
      }
    }
    return code
  },
}

function shape({ name, inputs, filters, outputs, tests }: PipelineConfig): string {
  const list = (steps: readonly { id: string }[]) => steps.map(({ id }) => id).join(', ') || 'none'
  return `${name}: ${list(inputs)} → ${list(filters)} → ${list(outputs)}${tests.length > 0 ? ` (${tests.length} tests: penstock test)` : ''}`
}
