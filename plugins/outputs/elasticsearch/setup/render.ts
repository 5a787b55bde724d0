// What setup says: its report, its requests and the roles, as a user reads or pastes them.
import type { Role } from './roles.ts'
import type { SetupReport, SetupRequest } from './setup.ts'

/** One line a template, then what is to be known besides. */
export function renderReport({ dryRun, steps, refusals, notes }: SetupReport): string {
  const lines: string[] = []
  if (refusals.length > 0) lines.push(`Nothing was changed:`, ...refusals.map(why => `  ${why}`))
  const width = Math.max(0, ...steps.map(({ name }) => name.length))
  for (const { kind, name, outcome, changes } of steps) {
    const what = dryRun && outcome !== 'unchanged' ? `would be ${outcome}` : outcome
    lines.push(`${kind.padEnd(18)}  ${name.padEnd(width)}  ${what}${changes.length > 0 ? `: ${changes.join('; ')}` : ''}`)
  }
  const touched = steps.filter(({ outcome }) => outcome !== 'unchanged').length
  if (refusals.length === 0)
    lines.push(
      touched === 0
        ? 'Everything is as it should be: nothing to change.'
        : `${touched} of ${steps.length} ${dryRun ? 'would be' : 'were'} changed.`,
    )
  lines.push(...notes.map(note => `note: ${note}`))
  return lines.join('\n')
}

/** The requests as the Dev Tools of Kibana take them. */
export function renderRequests(requests: readonly SetupRequest[]): string {
  return requests.map(({ path, body }) => `PUT ${path}\n${JSON.stringify(body, undefined, 2)}`).join('\n\n')
}

/** The request that makes an API key with each role, and why it has which privilege. */
export function renderRoles(roles: readonly Role[]): string {
  return roles
    .map(({ name, purpose, descriptor, reasons }) => {
      const width = Math.max(...reasons.map(([privilege]) => privilege.length))
      const why = reasons.map(([privilege, reason]) => `#   ${privilege.padEnd(width)}  ${reason}`)
      const body = { name: name.replaceAll('_', '-'), role_descriptors: { [name]: descriptor } }
      return [`# ${name}: for ${purpose}`, ...why, 'POST /_security/api_key', JSON.stringify(body, undefined, 2)].join('\n')
    })
    .join('\n\n')
}
