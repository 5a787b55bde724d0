// Microsoft's clouds: where each has its login, its audit feed, and what a token for that feed is asked for.

export const CLOUDS = ['worldwide', 'gcc', 'gcc_high', 'dod'] as const
export type Cloud = (typeof CLOUDS)[number]

export interface CloudHosts {
  /** Origin of the login service. */
  readonly authority: string
  /** Origin of the Office 365 Management APIs; the scope of a token for them is this and `/.default`. */
  readonly management: string
}

/** 21Vianet (China) has no such feed (Management Activity API reference, list of endpoints). */
const HOSTS: Readonly<Record<Cloud, CloudHosts>> = {
  worldwide: { authority: 'https://login.microsoftonline.com', management: 'https://manage.office.com' },
  gcc: { authority: 'https://login.microsoftonline.com', management: 'https://manage-gcc.office.com' },
  gcc_high: { authority: 'https://login.microsoftonline.us', management: 'https://manage.office365.us' },
  dod: { authority: 'https://login.microsoftonline.us', management: 'https://manage.protection.apps.mil' },
}

export function hostsOf(cloud: Cloud): CloudHosts {
  return HOSTS[cloud]
}
