// What reconcile says: as lines of JSON for programs, as a table for people.
import { columns, number, painter, visible } from '../../../../core/cli/for-plugins.ts'
import type { TenantResult, TypeResult } from './compare.ts'

/** What was found of one input. */
export interface StepResult {
  readonly id: string
  readonly results: readonly TenantResult[]
}

export function printJson({ id, results }: StepResult): void {
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

export function printText({ id, results }: StepResult): void {
  const paint = painter(process.stdout)
  for (const { tenant, types, findings, failed } of results) {
    process.stdout.write(`${paint('bold', `${id}  ${visible(tenant.settings.label)}`)}\n`)
    if (types.length > 0) process.stdout.write(`${table(types)}\n`)
    // What waits is no gap, and there may be thousands of it: the table has its number.
    for (const { blob, state, why } of findings.filter(({ state }) => state !== 'waiting'))
      process.stdout.write(
        `  ${paint(state === 'lost' ? 'yellow' : 'red', state)}  ${blob.contentType}  made ${iso(blob.created)}, to be had until ${iso(blob.expires)}  ${visible(blob.id)}${why ? `\n      ${visible(why)}` : ''}\n`,
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
