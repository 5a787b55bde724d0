// Do cloud, login, API and audience belong together, and does the service say that the tenant lives elsewhere.
import { CLOUDS, type Cloud, type CloudHosts, hostsOf } from '../../../lib/microsoft/service/clouds.ts'
import type { ConfiguredTenant } from '../tenants.ts'
import { type Finding, finding } from './finding.ts'

const MATCHED = 'Set cloud to the one in which the tenant lives, and leave authority_url, api_url and audience out.'

/** What the service said, by its codes (AADSTS90038, AF20011), of where the tenant lives. */
export function configurationFindings(tenant: ConfiguredTenant, codes: ReadonlySet<string>): Finding[] {
  const { authority, audience, settings } = tenant
  const where = `login at ${authority}, API at ${settings.api}, tokens for ${audience}`
  const places = [
    { name: `the login ${authority}`, clouds: cloudsWith('authority', authority) },
    { name: `the API ${settings.api}`, clouds: cloudsWith('management', settings.api) },
    { name: `the audience ${audience}`, clouds: cloudsWith('management', audience) },
  ].filter(({ clouds }) => clouds.length > 0)
  const common = CLOUDS.filter(cloud => places.every(({ clouds }) => clouds.includes(cloud)))
  return [...together(), ...elsewhere(codes, common, authority)]

  function together(): Finding[] {
    if (common.length === 0) {
      const parts = places.map(({ name, clouds }) => `${name} is of ${clouds.join(' and ')}`)
      return [finding('configuration', 'failed', `the hosts are of different clouds: ${parts.join(', ')}`, MATCHED)]
    }
    const unknown = [
      ['authority_url', authority, cloudsWith('authority', authority)] as const,
      ['api_url', settings.api, cloudsWith('management', settings.api)] as const,
    ].filter(([, , clouds]) => clouds.length === 0)
    if (unknown.length === 0) return [finding('configuration', 'ok', `${common.join(' or ')}: ${where}`)]
    if (unknown.every(([, origin]) => isLoopback(origin)))
      return [finding('configuration', 'ok', `a simulator, or something else on this machine: ${where}`)]
    const options = unknown.map(([option]) => option).join(' and ')
    const hosts = unknown.map(([, origin]) => origin).join(' and ')
    return [
      finding(
        'configuration',
        'warning',
        `secrets and tokens go to hosts that are of no known cloud (${hosts}): ${where}`,
        `Leave ${options} out, unless something between here and the service is meant to be asked.`,
      ),
    ]
  }
}

/** What the codes say of the cloud. */
function elsewhere(codes: ReadonlySet<string>, common: readonly Cloud[], authority: string): Finding[] {
  const others = CLOUDS.filter(cloud => !common.includes(cloud) || common.length === CLOUDS.length)
  const otherLogins = others.filter(cloud => hostsOf(cloud).authority !== authority)
  const set = (clouds: readonly Cloud[]) => `set ${clouds.map(cloud => `cloud: ${cloud}`).join(' or ')}`
  const found: Finding[] = []
  const told = (message: string, remedy: string) => found.push(finding('configuration', 'failed', message, remedy))
  for (const code of ['AADSTS90038', 'AADSTS900382'])
    if (codes.has(code))
      told(
        `the login says that the ${code === 'AADSTS90038' ? 'tenant' : 'application'} lives in another cloud (${code})`,
        `${capital(set(otherLogins))}; leave authority_url, api_url and audience out.`,
      )
  for (const code of ['AADSTS90002', 'AF20011'])
    if (codes.has(code))
      told(
        `${code === 'AF20011' ? 'the API' : 'the login'} does not know the tenant (${code})`,
        `Check tenant_id; if it is right, the tenant lives in another cloud: ${set(code === 'AF20011' ? others : otherLogins)}.`,
      )
  if (codes.has('AF20010'))
    told(
      'the API says that the token is for another tenant (AF20010)',
      'Compare tenant_id with the directory in which the application is registered.',
    )
  if (codes.has('AADSTS500011'))
    told(
      'the login knows no such resource in this tenant (AADSTS500011)',
      `Leave audience out, and consent to "Office 365 Management APIs" in a new tenant; if the tenant lives in another cloud, ${set(others)}.`,
    )
  if (codes.has('HTTP 401'))
    told(
      'the API does not take the token, and gives no reason',
      `Check audience: a token is good for one cloud's API alone; if the tenant lives in another cloud, ${set(others)}.`,
    )
  return found
}

function cloudsWith(key: keyof CloudHosts, origin: string): Cloud[] {
  const plain = origin.toLowerCase().replace(/\/$/, '')
  return CLOUDS.filter(cloud => hostsOf(cloud)[key] === plain)
}

function isLoopback(origin: string): boolean {
  const { hostname } = new URL(origin)
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname)
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}
