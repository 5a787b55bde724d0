// The table at the end of a run: what became of every event, and where to look next.
import type { PipelineConfig } from '../config/types.ts'
import type { PipelineEnd } from '../flow/pipeline.ts'
import type { StepHealth } from '../observe/health.ts'
import { visible } from '../observe/text.ts'
import type { Summary } from '../plugin/interfaces.ts'
import { columns, commandName, number, painter, seconds } from './terminal.ts'

export interface RunReport {
  readonly configs: readonly PipelineConfig[]
  readonly ends: readonly PipelineEnd[]
  readonly ms: number
  readonly stateDir: string
  readonly health: readonly StepHealth[]
}

const ENDS = { ended: 'all inputs read to their end', stopped: 'stopped by a signal', failed: 'FAILED' } as const

export function report({ configs, ends, ms, stateDir, health }: RunReport): string {
  const paint = painter(process.stderr)
  const parts = configs.map((config, index) => pipelineReport(config, ends[index] as PipelineEnd, ms, stateDir, paint))
  const ailing = health
    .filter(({ status }) => status !== 'ok')
    .map(({ pipeline, step, status, why }) => `${pipeline}/${step}: ${status}: ${visible(why ?? '')}`)
  if (ailing.length > 0) parts.push(`${paint('yellow', 'Not well')}\n  ${ailing.join('\n  ')}\n`)
  return `\n${parts.join('\n')}`
}

function pipelineReport(
  config: PipelineConfig,
  end: PipelineEnd,
  ms: number,
  stateDir: string,
  paint: ReturnType<typeof painter>,
): string {
  const { counts, outputs } = end.figures
  const refused = outputs.reduce((sum, output) => sum + output.deadLettered, 0)
  const dead = counts.failed + refused
  const color = end.status === 'failed' ? 'red' : 'green'
  const lines = [`${paint('bold', config.name)}  ${paint(color, ENDS[end.status])} in ${seconds(ms)}`]
  if (end.error) lines.push(`  ${paint('red', visible(end.error.message))}`)
  const rows: string[][] = [
    ['read', number(counts.read), counts.replayed > 0 ? `${number(counts.replayed)} of them dead letters, replayed` : ''],
  ]
  if (counts.created > 0) rows.push(['created', number(counts.created), 'by splitting events'])
  for (const { id, delivered, retried, inFlight, queue } of outputs) {
    const notes = [`to ${id}`]
    if (retried > 0) notes.push(`${number(retried)} tries more`)
    if (inFlight > 0) notes.push(`${number(inFlight)} left for the next start${queue ? ', in its disk queue' : ''}`)
    rows.push(['delivered', number(delivered), notes.join(', ')])
  }
  rows.push(['dropped', number(counts.dropped), ''])
  rows.push(['duplicates', number(counts.duplicates), ''])
  if (counts.unrouted > 0) rows.push(['unmatched', number(counts.unrouted), 'no output took them'])
  rows.push(['dead-lettered', number(dead), dead > 0 ? `look at them: ${commandName()} dlq list${stateOption(stateDir)}` : ''])
  rows.push(['events a second', number((counts.read / Math.max(ms, 1)) * 1000), ''])
  lines.push(columns(rows, [1], '  '))
  if (counts.read === 0 && end.status === 'ended') {
    lines.push(
      '',
      `  Nothing new: what the inputs hold was read before, and ${stateDir}/ remembers it.`,
      `  To read it again: ${commandName()} state reset ${config.name}${stateOption(stateDir)}`,
    )
  }
  const facts = end.summaries.filter(({ bars, rows }) => !bars && rows.length > 0)
  if (facts.length > 0) lines.push('', ...facts.map(summary => summaryLine(summary, paint)))
  for (const summary of end.summaries) if (summary.bars && summary.rows.length > 0) lines.push('', summaryTable(summary, paint))
  return `${lines.join('\n')}\n`
}

function stateOption(stateDir: string): string {
  return stateDir === 'state' ? '' : ` --state-dir ${stateDir}`
}

function summaryLine({ title, rows }: Summary, paint: ReturnType<typeof painter>): string {
  const facts = rows.map(([label, value]) => `${visible(label)} ${typeof value === 'number' ? number(value) : visible(value)}`)
  return `  ${paint('bold', visible(title))}: ${facts.join(', ')}`
}

/** Counts with bars, so that their proportions are seen at once. */
function summaryTable({ title, rows }: Summary, paint: ReturnType<typeof painter>): string {
  const most = Math.max(1, ...rows.map(([, value]) => Number(value)))
  const bar = (value: number) => paint('cyan', '█'.repeat(Math.round((value / most) * 24)) || '▏')
  const table = rows.map(([label, value]) => [visible(label), number(Number(value)), bar(Number(value))])
  return `  ${paint('bold', visible(title))}\n${columns(table, [1], '    ')}`
}
