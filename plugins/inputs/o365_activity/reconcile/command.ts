// penstock reconcile: compares, says what it found, and fetches what is missing where that is asked for.
import {
  commandLine,
  EXIT,
  isTerminal,
  number,
  onSignals,
  openRows,
  pipelineWith,
  runUntil,
  STATE_DIR,
  systemClock,
} from '../../../../core/cli/for-plugins.ts'
import { PenstockError } from '../../../../core/plugin/errors.ts'
import type { Rows } from '../../../../core/plugin/interfaces.ts'
import { Connections } from '../connections.ts'
import { Ledger } from '../ledger.ts'
import { configuredTenants, type Options } from '../tenants.ts'
import { compareTenant, type Finding, type State, type TenantResult } from './compare.ts'
import { printJson, printText, type StepResult } from './report.ts'

const TYPE = 'o365_activity'
/** States that are a gap, which a refill can mend. */
const GAPS: readonly State[] = ['missing', 'grown', 'changed']
/** A gap, and the step that has it. */
interface Open {
  readonly id: string
  readonly finding: Finding
}

/** How often progress is shown. Milliseconds. */
const SHOW_MS = 500

export async function reconcile(args: readonly string[]): Promise<number> {
  const { values, positionals } = commandLine(args, {
    'state-dir': STATE_DIR,
    refill: { type: 'boolean', default: false },
    deep: { type: 'boolean', default: false },
    lost: { type: 'boolean', default: false },
    tenant: { type: 'string' },
    json: { type: 'boolean', default: false },
  })
  const gaps: readonly State[] = values.lost ? [...GAPS, 'lost'] : GAPS
  const [file] = positionals
  if (file === undefined || positionals.length > 1)
    throw new PenstockError('PEN_USAGE', 'reconcile needs one pipeline file (penstock reconcile --help)')
  const { config, steps } = await pipelineWith(file, TYPE)
  const stop = new AbortController()
  const signals = onSignals(() => stop.abort(new PenstockError('PEN_STOPPED', 'stopped; nothing was changed')))
  const connections = new Connections(systemClock)
  const found: StepResult[] = []
  const progress = progressOf()
  try {
    for (const { id, options, site, codec } of steps) {
      const tenants = configuredTenants(options as Options, site).filter(({ settings }) => fits(settings, values.tenant))
      const { rows, close } = await openRows(values['state-dir'], { pipeline: config.name, step: id, beside: !values.refill })
      const results: TenantResult[] = []
      try {
        for (const tenant of tenants) {
          const { signal } = stop
          const common = { rows, connections, clock: systemClock, codec: codec(), maxEventBytes: config.max_event_bytes }
          results.push(await compareTenant({ ...common, tenant, signal, deep: values.deep, progress: progress.add }))
        }
        if (values.refill) await reopen(rows, results, gaps)
      } finally {
        await close()
      }
      found.push({ id, results })
    }
  } finally {
    progress.end()
    signals.off()
    await connections.close()
  }
  if (values.tenant !== undefined && found.every(({ results }) => results.length === 0))
    throw new PenstockError('PEN_USAGE', `the pipeline has no tenant ${values.tenant}`)
  const print = values.json ? printJson : printText
  for (const step of found) print(step)
  const open = found.flatMap(({ id, results }) => toMend(results, gaps).map(finding => ({ id, finding })))
  const failed = found.some(({ results }) => results.some(result => result.failed !== undefined))
  if (open.length === 0) {
    if (!values.json) process.stdout.write(failed ? '' : 'nothing is missing\n')
    return failed ? EXIT.failed : EXIT.ok
  }
  if (!values.refill) {
    if (!values.json) process.stdout.write(`${summary(open.length)}; --refill fetches it\n`)
    return EXIT.failed
  }
  process.stderr.write(
    `fetching ${number(open.length)} ${open.length === 1 ? 'blob' : 'blobs'} through the pipeline ${config.name}\n`,
  )
  let left: readonly Open[] = open
  let lost = 0
  const done = await runUntil({ config, only: TYPE, stateDir: values['state-dir'] }, async rowsOf => {
    const still: Open[] = []
    for (const one of left) {
      const fate = await fateOf(rowsOf(one.id), one.finding)
      if (fate === 'open') still.push(one)
      if (fate === 'lost') lost++
    }
    left = still
    return left.length === 0
  })
  if (!done) {
    process.stderr.write(
      `${number(left.length)} of ${number(open.length)} were not fetched; the next run of the pipeline goes on with them\n`,
    )
    return EXIT.failed
  }
  if (!values.json)
    process.stdout.write(
      `${number(open.length - lost)} fetched and acknowledged${lost > 0 ? `, ${number(lost)} cannot be had` : ''}\n`,
    )
  return failed || lost > 0 ? EXIT.failed : EXIT.ok
}

function fits({ tenantId, label }: { readonly tenantId: string; readonly label: string }, wanted: string | undefined): boolean {
  return wanted === undefined || wanted === label || wanted.toLowerCase() === tenantId.toLowerCase()
}

function toMend(results: readonly TenantResult[], gaps: readonly State[]): Finding[] {
  return results.flatMap(({ findings }) => findings.filter(({ state }) => gaps.includes(state)))
}

/** From now on the engine knows that these are to be fetched, whatever happens next. */
async function reopen(rows: Rows, results: readonly TenantResult[], gaps: readonly State[]): Promise<void> {
  for (const { tenant, findings } of results) {
    const open = findings.filter(({ state }) => gaps.includes(state))
    if (open.length > 0) await new Ledger(rows, tenant.settings.tenantId).reopen(open)
  }
}

/** What became of it: what had grown is acknowledged once it has more than before. */
async function fateOf(rows: Rows, { tenant, blob, progress }: Finding): Promise<'open' | 'acknowledged' | 'lost'> {
  const known = await new Ledger(rows, tenant.settings.tenantId).known(blob.contentType, blob)
  if (known.state === 'lost') return 'lost'
  if (known.state !== 'acknowledged') return 'open'
  return progress === undefined || known.progress.records > progress.records ? 'acknowledged' : 'open'
}

function summary(open: number): string {
  return `${number(open)} ${open === 1 ? 'blob is' : 'blobs are'} missing`
}

/** One line on a terminal that says how far it is. */
function progressOf(): { add(blobs: number): void; end(): void } {
  let blobs = 0
  let shown = Number.NEGATIVE_INFINITY
  const terminal = isTerminal(process.stderr)
  return {
    add(more) {
      blobs += more
      if (!terminal || systemClock.monotonic() - shown < SHOW_MS) return
      shown = systemClock.monotonic()
      process.stderr.write(`\r${number(blobs)} blobs compared\x1b[K`)
    },
    end() {
      if (terminal && shown > Number.NEGATIVE_INFINITY) process.stderr.write('\r\x1b[K')
    },
  }
}
