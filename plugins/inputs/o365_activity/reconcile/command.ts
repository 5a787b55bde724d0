// penstock reconcile: compares, says what it found, and fetches what is missing where that is asked for.
import {
  columns,
  commandLine,
  EXIT,
  isTerminal,
  number,
  onSignals,
  openRows,
  painter,
  pipelineWith,
  runUntil,
  STATE_DIR,
  systemClock,
  visible,
} from '../../../../core/cli/for-plugins.ts'
import { PenstockError } from '../../../../core/plugin/errors.ts'
import type { Rows } from '../../../../core/plugin/interfaces.ts'
import { Connections } from '../connections.ts'
import { Ledger } from '../ledger.ts'
import { configuredTenants, type Options } from '../tenants.ts'
import { compareTenant, type Finding, type TenantResult, type TypeResult } from './compare.ts'

const TYPE = 'o365_activity'
/** States that a refill can mend. */
const MENDED: readonly string[] = ['missing', 'lost', 'grown', 'changed']
/** How often progress is shown. Milliseconds. */
const SHOW_MS = 500

type Step = { readonly id: string; readonly results: readonly TenantResult[] }

export async function reconcile(args: readonly string[]): Promise<number> {
  const { values, positionals } = commandLine(args, {
    'state-dir': STATE_DIR,
    refill: { type: 'boolean', default: false },
    deep: { type: 'boolean', default: false },
    tenant: { type: 'string' },
    json: { type: 'boolean', default: false },
  })
  const [file] = positionals
  if (file === undefined || positionals.length > 1)
    throw new PenstockError('PEN_USAGE', 'reconcile needs one pipeline file (penstock reconcile --help)')
  const { config, steps } = await pipelineWith(file, TYPE)
  const stop = new AbortController()
  const signals = onSignals(() => stop.abort(new PenstockError('PEN_STOPPED', 'stopped; nothing was changed')))
  const connections = new Connections(systemClock)
  const found: Step[] = []
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
        if (values.refill) await reopen(rows, results)
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
  const open = found.flatMap(({ id, results }) => toMend(results).map(finding => ({ id, finding })))
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
  let left = open.length
  const done = await runUntil({ config, only: TYPE, stateDir: values['state-dir'] }, async rowsOf => {
    const states = await Promise.all(open.map(({ id, finding }) => isSettled(rowsOf(id), finding)))
    left = states.filter(settled => !settled).length
    return left === 0
  })
  if (!done) {
    process.stderr.write(
      `${number(left)} of ${number(open.length)} were not fetched; the next run of the pipeline goes on with them\n`,
    )
    return EXIT.failed
  }
  const lost = await stillLost(values['state-dir'], config.name, open)
  if (!values.json)
    process.stdout.write(
      `${number(open.length - lost)} fetched and acknowledged${lost > 0 ? `, ${number(lost)} cannot be had` : ''}\n`,
    )
  return failed || lost > 0 ? EXIT.failed : EXIT.ok
}

function fits({ tenantId, label }: { readonly tenantId: string; readonly label: string }, wanted: string | undefined): boolean {
  return wanted === undefined || wanted === label || wanted.toLowerCase() === tenantId.toLowerCase()
}

function toMend(results: readonly TenantResult[]): Finding[] {
  return results.flatMap(({ findings }) => findings.filter(({ state }) => MENDED.includes(state)))
}

/** From now on the engine knows that these are to be fetched, whatever happens next. */
async function reopen(rows: Rows, results: readonly TenantResult[]): Promise<void> {
  for (const { tenant, findings } of results) {
    const open = findings.filter(({ state }) => MENDED.includes(state))
    if (open.length > 0) await new Ledger(rows, tenant.settings.tenantId).reopen(open)
  }
}

/** Acknowledged, or lost after all; what had grown, with more than before. */
async function isSettled(rows: Rows, { tenant, blob, progress }: Finding): Promise<boolean> {
  const known = await new Ledger(rows, tenant.settings.tenantId).known(blob.contentType, blob)
  if (known.state === 'acknowledged') return progress === undefined || known.progress.records > progress.records
  return known.state === 'lost'
}

async function stillLost(stateDir: string, pipeline: string, open: readonly { id: string; finding: Finding }[]): Promise<number> {
  let lost = 0
  for (const { id, finding } of open) {
    const { rows, close } = await openRows(stateDir, { pipeline, step: id, beside: true })
    const { blob, tenant } = finding
    const { state } = await new Ledger(rows, tenant.settings.tenantId).known(blob.contentType, blob)
    if (state === 'lost') lost++
    await close()
  }
  return lost
}

function summary(open: number): string {
  return `${number(open)} ${open === 1 ? 'blob is' : 'blobs are'} missing`
}

function printJson({ id, results }: Step): void {
  const line = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)
  for (const { tenant, types, findings, failed } of results) {
    const of = { input: id, tenant: tenant.settings.label, tenant_id: tenant.settings.tenantId }
    for (const { blob, state, why } of findings)
      line({
        ...{
          ...of,
          content_type: blob.contentType,
          content_id: blob.id,
          state,
          created: iso(blob.created),
          expires: iso(blob.expires),
        },
        ...(why !== undefined && { why }),
      })
    for (const { contentType, compared, counts } of types)
      line({ ...of, content_type: contentType, ...(compared && { from: iso(compared.from), to: iso(compared.to) }), counts })
    if (failed !== undefined) line({ ...of, failed })
  }
}

function printText({ id, results }: Step): void {
  const paint = painter(process.stdout)
  for (const { tenant, types, findings, failed } of results) {
    process.stdout.write(`${paint('bold', `${id}  ${visible(tenant.settings.label)}`)}\n`)
    if (types.length > 0) process.stdout.write(`${table(types)}\n`)
    for (const { blob, state, why } of findings)
      process.stdout.write(
        `  ${paint(state === 'waiting' ? 'yellow' : 'red', state)}  ${blob.contentType}  made ${iso(blob.created)}, to be had until ${iso(blob.expires)}  ${visible(blob.id)}${why ? `\n      ${visible(why)}` : ''}\n`,
      )
    if (failed !== undefined) process.stdout.write(`  ${paint('red', 'it cannot be compared')}: ${visible(failed)}\n`)
  }
}

function table(types: readonly TypeResult[]): string {
  const states = ['acknowledged', 'waiting', 'missing', 'lost', 'grown', 'changed'] as const
  const used = states.filter(
    state => state === 'acknowledged' || state === 'missing' || types.some(({ counts }) => counts[state] > 0),
  )
  const rows = types.map(({ contentType, compared, counts }) => [
    contentType,
    compared ? `${iso(compared.from)} to ${iso(compared.to)}` : 'not listed yet',
    ...used.map(state => number(counts[state])),
  ])
  return columns([['content type', 'made', ...used], ...rows], [2, 3, 4, 5, 6, 7], '  ')
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
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
