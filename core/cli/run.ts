// penstock run: runs pipelines until their inputs have ended or a signal stops them.
import { loadPipelines } from '../config/load.ts'
import { headline } from '../config/problem.ts'
import { Supervisor } from '../flow/supervisor.ts'
import { systemClock } from '../observe/clock.ts'
import { Health } from '../observe/health.ts'
import { createLog, LEVELS } from '../observe/log.ts'
import { MetricsStore } from '../observe/metrics.ts'
import { pipelineFamilies } from '../observe/pipeline-metrics.ts'
import type { Verb } from '../plugin/define.ts'
import { PenstockError } from '../plugin/errors.ts'
import { openStore } from '../state/store.ts'
import { bootThread } from '../state/thread.ts'
import { choice, commandLine, STATE_DIR, wholeNumber } from './args.ts'
import { EXIT } from './exit-codes.ts'
import { startProgress } from './progress.ts'
import { leftBehind } from './queues.ts'
import { report } from './report.ts'
import { onSignals } from './signals.ts'
import { isTerminal } from './terminal.ts'
import { holdYoungGeneration } from './young-generation.ts'

const usage = `Usage: penstock run PIPELINE … [OPTION …]

Runs one or more pipelines in one process. It ends with exit code 0 when all inputs have ended; inputs that follow their source run until
SIGTERM or SIGINT: then reading stops, what was read is delivered, and positions are stored. A second signal ends the process at once.
Started again with the same state directory, it goes on where it stopped. Log, progress and summary go to standard error.

Options
  --state-dir DIR             where positions and dead letters are kept (default: state, in the working folder)
  --workers N                 worker threads of each pipeline, instead of what its file says (0: none)
  --fail-on-dead-letters      exit code 3 when events became dead letters
  --log-level LEVEL           debug, info, warn, error or silent (default: info; warn while the progress line is shown)
  --log-format FORMAT         json, or text for people (default: text on a terminal, else json)
  --no-progress               no progress lines
  --no-summary                no table at the end

Examples
  penstock run pipelines/quickstart.yaml
  penstock run a.yaml b.yaml --state-dir /var/lib/penstock --log-format json`

export const verb: Verb = {
  summary: 'Run pipelines until their inputs have ended or a signal stops them',
  usage,
  async run(args) {
    const { values, positionals } = commandLine(args, {
      'state-dir': STATE_DIR,
      workers: { type: 'string' },
      'fail-on-dead-letters': { type: 'boolean', default: false },
      'log-level': { type: 'string' },
      'log-format': { type: 'string' },
      'no-progress': { type: 'boolean', default: false },
      'no-summary': { type: 'boolean', default: false },
    })
    if (positionals.length === 0) throw new PenstockError('PEN_USAGE', 'run needs a pipeline file (penstock run --help)')
    const terminal = isTerminal(process.stderr)
    const pretty = choice('log-format', values['log-format'], ['json', 'text'] as const, terminal ? 'text' : 'json') === 'text'
    const level = choice('log-level', values['log-level'], LEVELS, terminal && !values['no-progress'] ? 'warn' : 'info')
    const workers = values.workers === undefined ? undefined : wholeNumber('--workers', values.workers)

    const thread = bootThread()
    const loaded = await loadPipelines(positionals).catch(async error => {
      await thread.terminate()
      throw error
    })
    const configs = loaded.map(({ config }) => config)
    const progress = values['no-progress']
      ? undefined
      : startProgress({ terminal, clock: systemClock, plain: line => plain(line) })
    const log = createLog({ level, pretty, color: terminal && !process.env.NO_COLOR, write: line => writeLine(line, progress) })
    // Where whoever reads the log has asked for JSON, progress must not break it.
    const plain = (line: string) =>
      values['log-format'] === 'json' ? log('penstock').info({}, line) : void process.stderr.write(`${line}\n`)
    for (const { config, warnings } of loaded) for (const warning of warnings) log(config.name).warn({}, headline(warning))
    const store = await openStore(values['state-dir'], { log: log('penstock', 'state'), thread })
    const metrics = new MetricsStore()
    const health = new Health()
    const supervisor = new Supervisor({ store, clock: systemClock, log, metrics, health })
    const figures = () => supervisor.figures()
    metrics.source(() => pipelineFamilies(figures(), systemClock.now()))
    const running = configs.map(config => (workers === undefined ? config : { ...config, workers }))
    for (const [pipeline, line] of leftBehind(await store.queues(), configs)) log(pipeline, 'queue').warn({}, line)
    const server = await startServer(running, { metrics, health, log: log('penstock', 'http') })
    const signals = onSignals(() => {
      log('penstock').info({}, 'stopping: what was read is delivered first; a second signal ends the process at once')
      supervisor.stop()
    })
    const letGo = holdYoungGeneration(systemClock)
    const started = systemClock.monotonic()
    progress?.show(figures)
    try {
      const ends = await supervisor.run(running)
      progress?.stop()
      const letters = ends.reduce(
        (sum, { figures: { counts, outputs } }) => sum + counts.failed + outputs.reduce((n, o) => n + o.deadLettered, 0),
        0,
      )
      if (!values['no-summary']) {
        const ms = systemClock.monotonic() - started
        process.stderr.write(report({ configs: running, ends, ms, stateDir: values['state-dir'], health: health.ailing() }))
      }
      if (ends.some(({ status }) => status === 'failed')) return EXIT.failed
      return values['fail-on-dead-letters'] && letters > 0 ? EXIT.deadLetters : EXIT.ok
    } finally {
      letGo()
      progress?.stop()
      signals.off()
      await server?.close()
      await store.close()
    }
  },
}

async function startServer(
  configs: Parameters<Supervisor['run']>[0],
  parts: Parameters<typeof import('../observe/http.ts').serve>[1],
) {
  const wanted = configs.flatMap(({ http, file }) => (http ? [{ http, file }] : []))
  const [first, ...others] = wanted
  if (!first) return undefined
  for (const { http, file } of others) {
    if (JSON.stringify(http) === JSON.stringify(first.http)) continue
    throw new PenstockError(
      'PEN_CONFIG',
      `${file}: http differs from that of ${first.file}; one process has one listener, give both the same`,
    )
  }
  const { serve } = await import('../observe/http.ts')
  return serve(first.http, parts)
}

function writeLine(line: string, progress: ReturnType<typeof startProgress> | undefined): void {
  progress?.clear()
  process.stderr.write(line)
}
