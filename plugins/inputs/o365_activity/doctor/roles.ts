// Which roles are in the token: those that are missing, and those that nothing needs.
import type { TenantSettings } from '../tenant-settings.ts'
import { type Finding, finding } from './finding.ts'

const READ = 'ActivityFeed.Read'
const READ_DLP = 'ActivityFeed.ReadDlp'
/** Why a role of the same application is of no use here. */
const OF_NO_USE: Readonly<Record<string, string>> = {
  'ServiceHealth.Read': 'it is for the service communications API, which is retired',
  'ActivityReports.Read': 'it is out of date, and an application that asks for it may be refused at its consent (AADSTS650051)',
  'ThreatIntelligence.Read':
    'it is out of date, and an application that asks for it may be refused at its consent (AADSTS650051)',
}

type Reading = Pick<TenantSettings, 'contentTypes' | 'keepMatchedValues'>

export function roleFindings(roles: readonly string[], { contentTypes, keepMatchedValues }: Reading): Finding[] {
  const found: Finding[] = []
  const readsDlp = contentTypes.includes('DLP.All')
  if (!roles.includes(READ))
    found.push(
      finding(
        'roles',
        'failed',
        `the token lacks the role ${READ}; ${roles.length === 0 ? 'it has none' : `it has ${roles.join(', ')}`}`,
        `Give the application the permission ${READ} of "Office 365 Management APIs" (an application permission), and have an administrator of the tenant consent.`,
      ),
    )
  if (readsDlp && keepMatchedValues && !roles.includes(READ_DLP))
    found.push(
      finding(
        'roles',
        'failed',
        `keep_matched_values is on, and the token lacks the role ${READ_DLP}: events of DLP.All come without the values that matched`,
        `Give the application ${READ_DLP} and have an administrator consent, or leave keep_matched_values out.`,
      ),
    )
  for (const role of roles) {
    if (role === READ || (role === READ_DLP && readsDlp && keepMatchedValues)) continue
    found.push(role === READ_DLP ? unneededDlp(readsDlp) : unneeded(role))
  }
  if (found.every(({ status }) => status !== 'failed'))
    found.unshift(finding('roles', 'ok', `the token has the roles that are needed: ${needed(roles).join(', ')}`))
  return found

  function needed(given: readonly string[]): readonly string[] {
    return given.filter(role => role === READ || (role === READ_DLP && readsDlp && keepMatchedValues))
  }
}

function unneededDlp(readsDlp: boolean): Finding {
  const why = readsDlp
    ? 'the values that it admits are removed, because keep_matched_values is off'
    : 'DLP.All is not among the content types'
  const doubt = readsDlp
    ? ` Whether Microsoft lets DLP.All be started with ${READ} alone is not documented: give it back if that is refused.`
    : ''
  return finding('roles', 'warning', `no option needs the role ${READ_DLP}: ${why}`, `Take it away from the application.${doubt}`)
}

function unneeded(role: string): Finding {
  const why = Object.hasOwn(OF_NO_USE, role) ? `: ${OF_NO_USE[role]}` : ''
  return finding('roles', 'warning', `no option needs the role ${role}${why}`, 'Take it away from the application.')
}
