// Options that say where a database is and who asks: the same for the output, the input and setup.
import { isIP } from 'node:net'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Site } from '../../../core/plugin/interfaces.ts'
import type { OptionSchemas, OptionValues } from '../../../core/plugin/options.ts'
import { CLOUDS, hostsOf } from '../microsoft/service/clouds.ts'
import { DIALECTS, type Target } from './dialect.ts'
import { dialectOf } from './dialects.ts'

export const CONNECTION = {
  dialect: {
    type: 'string',
    enum: DIALECTS,
    required: true,
    description: 'What kind of database it is: mysql (also MariaDB), postgres, or sqlserver (also Azure SQL)',
  },
  host: {
    type: 'string',
    minLength: 1,
    default: '127.0.0.1',
    description: 'Host name or address; or the Unix socket, as a file (mysql) or its folder (postgres)',
  },
  port: {
    type: 'integer',
    minimum: 1,
    maximum: 65_535,
    description: 'Port; 3306, 5432 or 1433 when it is not set',
  },
  database: { type: 'string', required: true, minLength: 1, description: 'Database' },
  user: { type: 'string', minLength: 1, description: 'User; not with entra' },
  password: { type: 'string', secret: true, description: 'Password of the user. Read again when its file changes' },
  entra: {
    type: 'object',
    description: 'Logs in to Azure SQL as an application of Entra, in the place of user and password',
    properties: {
      tenant_id: { type: 'string', required: true, description: "The tenant's id, a GUID" },
      client_id: { type: 'string', required: true, description: "The application's id, a GUID" },
      client_secret: { type: 'string', secret: true, description: "The application's secret" },
      client_certificate: { type: 'string', format: 'path', description: 'PEM file with its certificate and private key' },
      federated_token_file: {
        type: 'string',
        format: 'path',
        description: 'File with an assertion that somebody else renews (workload identity)',
      },
      cloud: { type: 'string', enum: CLOUDS, default: 'worldwide', description: 'Where the tenant lives' },
      authority_url: { type: 'string', description: "Origin of the login service, where it is not the cloud's own" },
      audience: {
        type: 'string',
        default: 'https://database.windows.net',
        description: 'What tokens are asked for; not tried against the service yet',
      },
    },
    additionalProperties: false,
  },
  tls: {
    type: 'boolean',
    description:
      'Encrypts the connection and checks the certificate of the server. Not set: true, but for a server on this machine',
  },
  ca: { type: 'string', format: 'path', description: 'PEM file with certificates that are trusted beside those of the system' },
  tls_insecure: {
    type: 'boolean',
    default: false,
    description: 'Does not look at the certificate of the server: whoever is in between reads and changes everything',
  },
  connect_timeout_ms: {
    type: 'integer',
    minimum: 100,
    maximum: 600_000,
    default: 10_000,
    description: 'How long the making of a connection may take',
  },
  timeout_ms: {
    type: 'integer',
    minimum: 1_000,
    maximum: 3_600_000,
    default: 60_000,
    description: 'A statement without an answer for so long ends its connection, and is tried again',
  },
} as const satisfies OptionSchemas

export type ConnectionOptions = OptionValues<typeof CONNECTION>

/** What a connection needs to be made. */
export interface Access {
  /** Without the certificates, which are read when it is opened. */
  readonly target: Omit<Target, 'tls'>
  readonly tls: false | { readonly ca: string | undefined; readonly insecure: boolean }
  /** `file`: where the password was read from. */
  readonly login: { readonly password: string; readonly file: string | undefined } | { readonly entra: EntraLogin }
  readonly timeoutMs: number
}

export interface EntraLogin {
  readonly tenantId: string
  readonly clientId: string
  readonly authority: string
  readonly audience: string
  readonly credentials: {
    readonly client_secret: string | undefined
    readonly secret_file: string | undefined
    readonly client_certificate: string | undefined
    readonly federated_token_file: string | undefined
  }
}

/** @throws OptionError */
export function accessOf(options: ConnectionOptions, site: Pick<Site, 'secretFile'>): Access {
  const { dialect, host, port, database, user, password = '', entra, ca, tls_insecure } = options
  const tls = options.tls ?? !isHere(host)
  if (!tls && ca !== undefined) throw new OptionError('ca', 'has no use without tls: true')
  if (!tls && tls_insecure) throw new OptionError('tls_insecure', 'has no use without tls: true')
  if (tls && host.startsWith('/')) throw new OptionError('tls', 'is not for a Unix socket; leave it out')
  if (host.startsWith('/') && dialect === 'sqlserver')
    throw new OptionError('host', 'is a Unix socket, which SQL Server has not; write a host name or an address')
  if (tls && !tls_insecure && dialect === 'mysql' && isIP(host) !== 0)
    throw new OptionError('host', `is an address; write the host's name, as its certificate has it, so that it can be checked`)
  if (!tls && entra) throw new OptionError('tls', 'must be true with entra: a token is as good as a password')
  return {
    target: {
      ...{ dialect, host, database, user: user ?? '', connectMs: options.connect_timeout_ms },
      port: port ?? dialectOf(dialect).port,
    },
    tls: tls && { ca, insecure: tls_insecure },
    login: entra
      ? { entra: entraLogin(options, entra, site) }
      : { password, file: password === '' ? undefined : site.secretFile(password) },
    timeoutMs: options.timeout_ms,
  }
}

function entraLogin(
  { dialect, user, password }: ConnectionOptions,
  entra: NonNullable<ConnectionOptions['entra']>,
  site: Pick<Site, 'secretFile'>,
): EntraLogin {
  if (dialect !== 'sqlserver') throw new OptionError('entra', 'is for sqlserver (Azure SQL) only; give user and password')
  if (user !== undefined || password !== undefined) throw new OptionError('entra', 'give either entra, or user and password')
  const { tenant_id, client_id, client_secret, client_certificate, federated_token_file, authority_url, audience } = entra
  const given = [client_secret, client_certificate, federated_token_file].filter(one => one !== undefined)
  if (given.length !== 1)
    throw new OptionError('entra', 'needs one of client_secret, client_certificate and federated_token_file')
  if (authority_url !== undefined && !/^https:\/\/[^/]+\/?$/.test(authority_url))
    throw new OptionError('entra.authority_url', `"${authority_url}" is no origin; write it like https://login.example`)
  return {
    ...{ tenantId: tenant_id, clientId: client_id, audience },
    authority: authority_url?.replace(/\/$/, '') ?? hostsOf(entra.cloud).authority,
    credentials: {
      ...{ client_secret, client_certificate, federated_token_file },
      secret_file: client_secret === undefined ? undefined : site.secretFile(client_secret),
    },
  }
}

function isHere(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\./.test(host)
}
