// The tenants of the input, from its options: what is set for one goes before what is set for all.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { OptionValues } from '../../../core/plugin/options.ts'
import { CLOUDS, hostsOf } from '../../lib/microsoft/service/clouds.ts'
import { CONTENT_TYPES } from '../../lib/microsoft/service/content-types.ts'
import type { CredentialOptions } from '../../lib/microsoft/service/credentials.ts'
import type { TenantSettings } from './tenant-settings.ts'

/** Options that a tenant may have of its own. */
export const SHARED = {
  cloud: { type: 'string', enum: CLOUDS, description: 'Where the tenant lives; worldwide when it is not set' },
  authority_url: { type: 'string', description: "Origin of the login service, where it is not the cloud's own" },
  api_url: { type: 'string', description: "Origin of the API, where it is not the cloud's own" },
  audience: { type: 'string', description: "What tokens are asked for, where it is not the cloud's own" },
  ca: { type: 'string', format: 'path', description: 'PEM file of certificates that are trusted beside those of the system' },
  proxy: { type: 'string', secret: true, description: 'Proxy for every request; without it HTTPS_PROXY and NO_PROXY hold' },
  since: {
    type: 'string',
    description:
      'Where the first start begins: a UTC time, or how long before it (7d, 36h); seven days less an hour when it is not set',
  },
  until: { type: 'string', description: 'Ends the input: content made from this UTC time on is left alone' },
  content_types: {
    type: 'array',
    minItems: 1,
    items: { type: 'string', enum: CONTENT_TYPES },
    description: 'Which content is read; all five types when it is not set',
  },
  requests_per_minute: {
    type: 'integer',
    minimum: 1,
    description: "A tenant's budget; 2000 when it is not set, which the service grants every tenant",
  },
} as const

export const TENANT = {
  tenant_id: { type: 'string', required: true, description: "The tenant's id, a GUID" },
  client_id: { type: 'string', required: true, description: "The application's id, a GUID" },
  name: { type: 'string', minLength: 1, description: 'What logs, metrics and events call the tenant' },
  client_secret: { type: 'string', secret: true, description: "The application's secret" },
  client_certificate: {
    type: 'string',
    format: 'path',
    description: "PEM file with the application's certificate and private key",
  },
  federated_token_file: {
    type: 'string',
    format: 'path',
    description: 'File with an assertion that somebody else renews (workload identity)',
  },
  ...SHARED,
} as const

type SharedValues = OptionValues<typeof SHARED>
type TenantValues = OptionValues<typeof TENANT>

export interface ConfiguredTenant {
  readonly settings: TenantSettings
  readonly clientId: string
  readonly credentials: CredentialOptions
  readonly authority: string
  readonly audience: string
  readonly ca: string | undefined
  readonly proxy: string | undefined
}

/** What holds for every tenant alike. */
export type Common = Pick<
  TenantSettings,
  'pollMs' | 'overlapMs' | 'sweepMs' | 'lookAgainMs' | 'parallel' | 'maxBlobBytes' | 'keepMatchedValues'
> & { readonly publisher: string | undefined }

const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i
const HOUR_MS = 3_600_000
const UNITS: Readonly<Record<string, number>> = { d: 24 * HOUR_MS, h: HOUR_MS, m: 60_000 }
const DEFAULT_SINCE_MS = 7 * 24 * HOUR_MS - HOUR_MS
const DEFAULT_REQUESTS = 2_000

export function configuredTenants(tenants: readonly TenantValues[], shared: SharedValues, common: Common): ConfiguredTenant[] {
  const ids = new Set<string>()
  const labels = new Set<string>()
  return tenants.map((own, index) => {
    const at = `tenants[${index}]`
    const tenant = configured({ ...shared, ...own }, at, common)
    const id = tenant.settings.tenantId.toLowerCase()
    if (ids.has(id)) throw new OptionError(`${at}.tenant_id`, `the tenant ${id} is listed twice`)
    if (labels.has(tenant.settings.label)) throw new OptionError(`${at}.name`, `two tenants are called ${tenant.settings.label}`)
    ids.add(id)
    labels.add(tenant.settings.label)
    return tenant
  })
}

function configured(values: TenantValues, at: string, common: Common): ConfiguredTenant {
  const { tenant_id, client_id, name, cloud = 'worldwide', client_secret, client_certificate, federated_token_file } = values
  if (!GUID.test(tenant_id))
    throw new OptionError(`${at}.tenant_id`, `"${tenant_id}" is no GUID; the service takes no domain name`)
  if (!GUID.test(client_id)) throw new OptionError(`${at}.client_id`, `"${client_id}" is no GUID`)
  const given = [client_secret, client_certificate, federated_token_file].filter(value => value !== undefined).length
  if (given !== 1)
    throw new OptionError(
      at,
      `a tenant needs one of client_secret, client_certificate and federated_token_file; this one has ${given === 0 ? 'none' : given}`,
    )
  const hosts = hostsOf(cloud)
  const until = values.until === undefined ? undefined : timeOf(values.until, `${at}.until`)
  return {
    clientId: client_id,
    credentials: { client_secret, client_certificate, federated_token_file },
    authority: originOf(values.authority_url ?? hosts.authority, `${at}.authority_url`),
    audience: values.audience ?? hosts.management,
    ca: values.ca,
    proxy: values.proxy,
    settings: {
      tenantId: tenant_id,
      label: name ?? tenant_id,
      name,
      api: originOf(values.api_url ?? hosts.management, `${at}.api_url`),
      contentTypes: values.content_types ?? CONTENT_TYPES,
      requestsPerMinute: values.requests_per_minute ?? DEFAULT_REQUESTS,
      since: sinceOf(values.since, `${at}.since`),
      until,
      ...common,
      publisher: common.publisher ?? tenant_id,
    },
  }
}

function originOf(text: string, path: string): string {
  if (/\/activities\b/i.test(text))
    throw new OptionError(
      path,
      'the Activities API was switched off in July 2018; this input reads the Management Activity API, which needs no api_url',
    )
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new OptionError(path, `"${text}" is no URL; write it like https://manage.office.com`)
  }
  if (url.protocol !== 'https:')
    throw new OptionError(path, `"${text}" begins with ${url.protocol}//, and a token goes over https:// alone`)
  if (url.username || url.password || url.pathname !== '/' || url.search)
    throw new OptionError(path, `"${text}" has more than a host and a port`)
  return url.origin
}

function sinceOf(text: string | undefined, path: string): TenantSettings['since'] {
  if (text === undefined) return { ago: DEFAULT_SINCE_MS }
  const [, count, unit] = /^(\d+)\s*([dhm])$/.exec(text) ?? []
  return count === undefined ? { at: timeOf(text, path) } : { ago: Number(count) * (UNITS[unit as string] as number) }
}

/** A time without a zone is UTC. */
function timeOf(text: string, path: string): number {
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text)
    ? Date.parse(text.length === 10 || /Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`)
    : Number.NaN
  if (Number.isNaN(time))
    throw new OptionError(path, `"${text}" is no time; write it like 2026-05-04T08:00:00Z, or like 36h for a time before now`)
  return time
}
