// A fictional organisation on Microsoft 365: its names, people, sites, teams and policies, all made from a seed.
import { Draw, STREAM } from './draw.ts'
import { DEPARTMENTS, makeUser, type User } from './people.ts'

/** A SharePoint site, or a person's OneDrive. */
export interface Site {
  readonly title: string
  /** With the final slash. */
  readonly url: string
  readonly site: string
  readonly web: string
  readonly list: string
  /** The document library below the site. */
  readonly library: string
  readonly personal: boolean
}

export interface Team {
  readonly name: string
  /** A thread id, as Teams calls a team; not a GUID. */
  readonly thread: string
  readonly group: string
  readonly channel: string
}

export interface Policy {
  readonly id: string
  readonly name: string
}

export interface Tenant {
  readonly number: number
  readonly id: string
  /** First label of its domains. */
  readonly label: string
  readonly name: string
  readonly domain: string
  /** `<label>.onmicrosoft.com`: what Exchange calls the organisation. */
  readonly initialDomain: string
  readonly sites: readonly Site[]
  readonly teams: readonly Team[]
  readonly dlp: { readonly cards: Policy; readonly accounts: Policy; readonly rules: readonly Policy[] }
  readonly alerts: readonly Policy[]
  /** The user with this number, from 0. The first two are administrators. */
  user(number: number): User
  readonly users: number
}

const COMPANIES = ['Contoso', 'Fabrikam', 'Northwind', 'Tailspin', 'Woodgrove', 'Litware', 'Proseware', 'Wingtip'] as const
const TEAM_NAMES = [...DEPARTMENTS, 'Quarter close', 'Moving house', 'Website 2026', 'Würzburg project'] as const

/** The tenant's id: 11111111-1111-… for the first, as in every example; made of its number. */
function tenantId(number: number): string {
  const digits = number < 9 ? String(number + 1).repeat(8) : String(number + 1).padStart(8, '0')
  const four = digits.slice(4)
  return `${digits}-${four}-${four}-${four}-${digits}${four}`
}

/** A person's OneDrive. */
export function driveOf(user: User, tenant: Tenant): Site {
  const folder = user.upn.replace(/[^a-z0-9]/g, '_')
  const url = `https://${tenant.label}-my.sharepoint.com/personal/${folder}/`
  return { title: user.displayName, url, ...user.drive, library: 'Documents', personal: true }
}

/** Makes tenant `number` (from 0) of a seed. Users are made when they are first asked for. */
export function makeTenant(seed: number, number: number, users: number): Tenant {
  const company = COMPANIES[number] ?? `Tenant ${number + 1}`
  const label = company.toLowerCase().replace(' ', '')
  const draw = new Draw(seed, STREAM.tenant, number)
  const made: (User | undefined)[] = []
  const policy = (name: string): Policy => ({ id: draw.guid(), name })
  return {
    number,
    id: tenantId(number),
    label,
    name: company,
    domain: `${label}.example`,
    initialDomain: `${label}.onmicrosoft.com`,
    sites: DEPARTMENTS.map(title => ({
      title,
      url: `https://${label}.sharepoint.com/sites/${title}/`,
      site: draw.guid(),
      web: draw.guid(),
      list: draw.guid(),
      library: 'Shared Documents',
      personal: false,
    })),
    teams: TEAM_NAMES.map(name => ({
      name,
      thread: `19:${draw.hex(32)}@thread.tacv2`,
      group: draw.guid(),
      channel: `19:${draw.hex(32)}@thread.tacv2`,
    })),
    dlp: {
      cards: policy('Card data stays inside'),
      accounts: policy('Bank account numbers'),
      rules: [
        policy('Low volume of card numbers'),
        policy('High volume of card numbers'),
        policy('Account numbers sent outside'),
      ],
    },
    alerts: [
      policy('Email messages containing malicious URL removed after delivery'),
      policy('Creation of forwarding/redirect rule'),
      policy('Unusual volume of file deletion'),
      policy('A potentially malicious URL click was detected'),
      policy('Suspicious email sending patterns detected'),
    ],
    users,
    user(index) {
      made[index] ??= makeUser(index, `${label}.example`, new Draw(seed, STREAM.user, number * 2 ** 32 + index))
      return made[index]
    },
  }
}
