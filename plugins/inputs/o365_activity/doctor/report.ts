// What the doctor found, as text for people and as JSON for scripts.
import { type painter, visible } from '../../../../core/cli/for-plugins.ts'
import { CHECKS, type Finding, type Patient, type Status } from './finding.ts'

type Paint = ReturnType<typeof painter>

const MARKS: Readonly<Record<Status, { readonly mark: string; readonly style: Parameters<Paint>[0] }>> = {
  ok: { mark: 'ok', style: 'green' },
  warning: { mark: 'warn', style: 'yellow' },
  failed: { mark: 'FAIL', style: 'red' },
  unknown: { mark: '?', style: 'cyan' },
}
const MARK_WIDTH = Math.max(...Object.values(MARKS).map(({ mark }) => mark.length))
const CHECK_WIDTH = Math.max(...CHECKS.map(check => check.length))

/** One tenant: a headline, and a line for each finding; a remedy stands below its finding. */
export function asText({ input, tenant, tenantId }: Patient, findings: readonly Finding[], paint: Paint): string {
  const id = tenant === tenantId ? '' : `  ${tenantId}`
  const lines = [`${paint('bold', visible(tenant))}${id}  (input ${visible(input)})`]
  let before: string | undefined
  for (const { check, status, message, remedy } of findings) {
    const { mark, style } = MARKS[status]
    const name = check === before ? '' : check.replace('_', ' ')
    before = check
    lines.push(`  ${paint(style, mark.padEnd(MARK_WIDTH))}  ${name.padEnd(CHECK_WIDTH)}  ${visible(message)}`)
    if (remedy !== undefined) lines.push(`${' '.repeat(MARK_WIDTH + CHECK_WIDTH + 6)}→ ${visible(remedy)}`)
  }
  return `${lines.join('\n')}\n`
}

/** One tenant, as a line. */
export function asJson({ input, tenant, tenantId }: Patient, findings: readonly Finding[]): string {
  const checks = findings.map(({ check, status, message, remedy }) => ({
    ...{ check, status, message: visible(message) },
    ...(remedy !== undefined && { remedy: visible(remedy) }),
  }))
  return `${JSON.stringify({ input, tenant, tenant_id: tenantId, checks })}\n`
}

/** The last line: how many tenants, and how many findings of each kind. */
export function closing(tenants: number, counts: Readonly<Record<Status, number>>, paint: Paint): string {
  const parts = [
    `${counts.ok} ok`,
    `${counts.warning} warning${counts.warning === 1 ? '' : 's'}`,
    counts.failed > 0 ? paint('red', `${counts.failed} failed`) : '0 failed',
    `${counts.unknown} that nobody can tell`,
  ]
  return `${tenants} tenant${tenants === 1 ? '' : 's'}: ${parts.join(', ')}\n`
}
