// Is the audit log of the tenant on: nobody can ask for that, but content proves it, and a start that is refused disproves it.
import { AUDIT_LOG_OFF } from '../../../lib/microsoft/service/remedies.ts'
import { type Finding, finding } from './finding.ts'
import type { Looked } from './subscriptions.ts'

export function auditLogFinding(looked: readonly Looked[], start: boolean): Finding {
  // Content may be left of the time before it was turned off.
  if (looked.some(({ started }) => started === 'audit_off'))
    return finding('audit_log', 'failed', `the audit log is off: ${AUDIT_LOG_OFF.meaning}`, AUDIT_LOG_OFF.remedy)
  if (looked.some(({ content }) => content === true))
    return finding('audit_log', 'ok', 'the audit log is on: it gave content in the last 23 hours')
  if (looked.some(({ started }) => started === 'started'))
    return finding('audit_log', 'ok', 'the audit log is on: the service started a subscription to it')
  const because = 'cannot tell whether the audit log is on: no content of the last 23 hours is listed'
  const missing = looked.some(({ before }) => !before?.enabled)
  if (missing && !start)
    return finding(
      'audit_log',
      'unknown',
      because,
      'doctor with --start tells: the start of a subscription fails where it is off.',
    )
  return finding(
    'audit_log',
    'unknown',
    because,
    'Look in the audit search of the Purview portal whether records come; in a tenant where nobody works there are none.',
  )
}
