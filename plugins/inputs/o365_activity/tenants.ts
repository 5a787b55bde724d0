// The tenants of the input, from its options and its tenants file: what is set for one goes before what is set for all.
import { asError, OptionError } from '../../../core/plugin/errors.ts'
import type { Site } from '../../../core/plugin/interfaces.ts'
import type { OptionValues } from '../../../core/plugin/options.ts'
import { hostsOf } from '../../lib/microsoft/service/clouds.ts'
import { CONTENT_TYPES } from '../../lib/microsoft/service/content-types.ts'
import type { CredentialOptions } from '../../lib/microsoft/service/credentials.ts'
import { type OPTIONS, type TENANT, TENANTS_FILE } from './options.ts'
import type { TenantSettings } from './tenant-settings.ts'

export type Options = OptionValues<typeof OPTIONS>
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

const GUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i
const HOUR_MS = 3_600_000
const UNITS: Readonly<Record<string, number>> = { d: 24 * HOUR_MS, h: HOUR_MS, m: 60_000 }
const DEFAULT_SINCE_MS = 7 * 24 * HOUR_MS - HOUR_MS
const DEFAULT_REQUESTS = 2_000

/** Where a list of tenants stands: options of the pipeline, or the tenants file. */
interface Source {
  readonly tenants: readonly TenantValues[]
  secretFile(value: string): string | undefined
  /** An error about the option at `path` of this list. */
  wrong(path: string, message: string): Error
}

/**
 * Every tenant of the input; reads the tenants file.
 * @throws OptionError or ConfigError that names what is wrong, and where
 */
export function configuredTenants(options: Options, site: Site): ConfiguredTenant[] {
  const sources: Source[] = [
    {
      tenants: options.tenants ?? [],
      secretFile: value => site.secretFile(value),
      wrong: (path, message) => new OptionError(path, message),
    },
  ]
  if (options.tenants_file !== undefined) {
    const path = options.tenants_file
    const file = site.optionsFile(path, TENANTS_FILE)
    sources.push({
      tenants: file.options.tenants,
      secretFile: value => file.secretFile(value),
      wrong: (at, message) => new OptionError('tenants_file', `${path}: ${at}: ${message}`),
    })
  } else if (options.tenants === undefined) throw new OptionError('', 'it needs tenants or tenants_file')
  const ids = new Set<string>()
  const labels = new Set<string>()
  return sources.flatMap(source =>
    source.tenants.map((own, index) => {
      const at = `tenants[${index}]`
      const tenant = configured(options, own, at, source)
      const { tenantId, label } = tenant.settings
      const id = tenantId.toLowerCase()
      if (ids.has(id)) throw source.wrong(`${at}.tenant_id`, `the tenant ${id} is listed twice`)
      if (labels.has(label)) throw source.wrong(`${at}.name`, `two tenants are called ${label}`)
      ids.add(id)
      labels.add(label)
      return tenant
    }),
  )
}

function configured(options: Options, own: TenantValues, at: string, { secretFile, wrong }: Source): ConfiguredTenant {
  const { tenant_id, client_id, name, client_secret, client_certificate, federated_token_file } = own
  if (!GUID.test(tenant_id)) throw wrong(`${at}.tenant_id`, `"${tenant_id}" is no GUID; the service takes no domain name`)
  if (!GUID.test(client_id)) throw wrong(`${at}.client_id`, `"${client_id}" is no GUID`)
  const given = [client_secret, client_certificate, federated_token_file].filter(value => value !== undefined).length
  if (given !== 1) {
    const has = given === 0 ? 'none' : given
    throw wrong(at, `a tenant needs one of client_secret, client_certificate and federated_token_file; this one has ${has}`)
  }
  /** What a text says; what is wrong with one that is set for all tenants is said of that option. */
  const read = <T>(option: 'authority_url' | 'api_url' | 'since' | 'until', parse: (text: string) => T): T | undefined => {
    const text = own[option] ?? options[option]
    if (text === undefined) return undefined
    try {
      return parse(text)
    } catch (thrown) {
      const { message } = asError(thrown)
      throw own[option] === undefined ? new OptionError(option, message) : wrong(`${at}.${option}`, message)
    }
  }
  const hosts = hostsOf(own.cloud ?? options.cloud ?? 'worldwide')
  const secret_file = client_secret === undefined ? undefined : secretFile(client_secret)
  return {
    clientId: client_id,
    credentials: { client_secret, secret_file, client_certificate, federated_token_file },
    authority: read('authority_url', originOf) ?? hosts.authority,
    audience: own.audience ?? options.audience ?? hosts.management,
    ca: own.ca ?? options.ca,
    proxy: own.proxy ?? options.proxy,
    settings: {
      tenantId: tenant_id,
      label: name ?? tenant_id,
      name,
      api: read('api_url', originOf) ?? hosts.management,
      publisher: options.publisher ?? tenant_id,
      contentTypes: own.content_types ?? options.content_types ?? CONTENT_TYPES,
      requestsPerMinute: own.requests_per_minute ?? options.requests_per_minute ?? DEFAULT_REQUESTS,
      since: read('since', momentOf) ?? { ago: DEFAULT_SINCE_MS },
      until: read('until', momentOf),
      pollMs: options.poll_interval_ms,
      overlapMs: options.overlap_ms,
      sweepMs: options.sweep_interval_ms,
      lookAgainMs: options.look_again_ms,
      parallel: options.parallel,
      maxBlobBytes: options.max_blob_bytes,
      keepMatchedValues: options.keep_matched_values,
      tellMs: options.completeness_event_ms,
    },
  }
}

function originOf(text: string): string {
  if (/\/activities\b/i.test(text))
    throw new Error(
      'the Activities API was switched off in July 2018; this input reads the Management Activity API, which needs no api_url',
    )
  const url = URL.parse(text)
  if (!url) throw new Error(`"${text}" is no URL; write it like https://manage.office.com`)
  if (url.protocol !== 'https:') throw new Error(`"${text}" begins with ${url.protocol}//, and a token goes over https:// alone`)
  if (url.username || url.password || url.pathname !== '/' || url.search)
    throw new Error(`"${text}" has more than a host and a port`)
  return url.origin
}

function momentOf(text: string): TenantSettings['since'] {
  const [, count, unit] = /^(\d+)\s*([dhm])$/.exec(text) ?? []
  return count === undefined ? { at: timeOf(text) } : { ago: Number(count) * (UNITS[unit as string] as number) }
}

/** A time without a zone is UTC. */
function timeOf(text: string): number {
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text)
    ? Date.parse(text.length === 10 || /Z|[+-]\d\d:\d\d$/.test(text) ? text : `${text}Z`)
    : Number.NaN
  if (Number.isNaN(time))
    throw new Error(`"${text}" is no time; write it like 2026-05-04T08:00:00Z, or like 36h for a time before now`)
  return time
}
