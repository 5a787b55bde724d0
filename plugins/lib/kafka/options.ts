// Options that say where Kafka is and who asks: the same for the input and the output.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Site } from '../../../core/plugin/interfaces.ts'
import type { OptionSchemas, OptionValues } from '../../../core/plugin/options.ts'
import { CLOUDS, hostsOf } from '../microsoft/service/clouds.ts'
import type { CredentialOptions } from '../microsoft/service/credentials.ts'

export const CONNECTION = {
  brokers: {
    type: 'array',
    required: true,
    minItems: 1,
    items: { type: 'string' },
    description: 'Brokers to ask first, as in kafka1.example:9092; they name the others',
  },
  client_id: {
    type: 'string',
    minLength: 1,
    default: 'penstock',
    description: "Name of this client in the brokers' logs and quotas",
  },
  tls: {
    type: 'object',
    description: 'Speaks TLS; an empty object is enough where the brokers have certificates that the system trusts',
    properties: {
      ca: {
        type: 'string',
        format: 'path',
        description: 'PEM file with certificates that are trusted beside those of the system',
      },
      cert: { type: 'string', format: 'path', description: 'PEM file with a client certificate' },
      key: { type: 'string', format: 'path', description: 'PEM file with the private key of the client certificate' },
      server_name: { type: 'string', description: "Name that the brokers' certificates are for, where it is not their address" },
      insecure: {
        type: 'boolean',
        default: false,
        description: 'Does not look at the certificates of the brokers: whoever is in between reads and changes everything',
      },
    },
    additionalProperties: false,
  },
  sasl: {
    type: 'object',
    description: 'Who asks. For Event Hubs: mechanism plain, username $ConnectionString, the connection string as password',
    properties: {
      mechanism: {
        type: 'string',
        required: true,
        enum: ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'],
        description: 'How the brokers ask for it',
      },
      username: { type: 'string', minLength: 1, description: 'User, for plain and scram' },
      password: { type: 'string', secret: true, description: 'Password of the user. Read again when its file changes' },
      token_file: {
        type: 'string',
        format: 'path',
        description: 'For oauthbearer: file with a token, which somebody else renews; read for every connection',
      },
      entra: {
        type: 'object',
        description: 'For oauthbearer: tokens of an application in Entra, as Event Hubs takes them',
        properties: {
          tenant_id: { type: 'string', required: true, description: "The tenant's id, a GUID" },
          client_id: { type: 'string', required: true, description: "The application's id, a GUID" },
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
          audience: {
            type: 'string',
            description: 'What tokens are asked for; https:// and the first broker when it is not set',
          },
          cloud: { type: 'string', enum: CLOUDS, default: 'worldwide', description: 'Where the tenant lives' },
          authority_url: { type: 'string', description: "Origin of the login service, where it is not the cloud's own" },
          ca: { type: 'string', format: 'path', description: 'PEM file of certificates that are trusted for the login service' },
          proxy: { type: 'string', secret: true, description: 'Proxy on the way to the login service' },
        },
        additionalProperties: false,
      },
    },
    additionalProperties: false,
  },
  request_timeout_ms: {
    type: 'integer',
    minimum: 1_000,
    maximum: 600_000,
    default: 60_000,
    description: 'A request without an answer for so long is sent again',
  },
  connect_timeout_ms: {
    type: 'integer',
    minimum: 100,
    maximum: 600_000,
    default: 10_000,
    description: 'How long a connection may take',
  },
  metadata_max_age_ms: {
    type: 'integer',
    minimum: 1_000,
    default: 180_000,
    description:
      'How often brokers, topics and partitions are looked up again; Azure drops connections that idle for four minutes',
  },
} as const satisfies OptionSchemas

export type ConnectionOptions = OptionValues<typeof CONNECTION>

/** How to reach Kafka. */
export interface ConnectionSettings {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly tls: TlsSettings | undefined
  readonly sasl: SaslSettings | undefined
  readonly requestTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly metadataMaxAgeMs: number
}

export interface TlsSettings {
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  readonly serverName: string | undefined
  readonly insecure: boolean
}

/** `file`: where the password was read from. */
export type SaslSettings =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
      readonly username: string
      readonly password: string
      readonly file: string | undefined
    }
  | { readonly mechanism: 'oauthbearer'; readonly tokenFile: string }
  | { readonly mechanism: 'oauthbearer'; readonly entra: EntraSettings }

export interface EntraSettings {
  readonly tenantId: string
  readonly clientId: string
  readonly credentials: CredentialOptions
  readonly authority: string
  readonly audience: string
  readonly ca: string | undefined
  readonly proxy: string | undefined
}

const BROKER = /^[A-Za-z0-9._-]+:([0-9]{1,5})$/
const LOOPBACK = /^(localhost|127\.[0-9.]+):/

/** @throws OptionError */
export function connectionOf(options: ConnectionOptions, site: Pick<Site, 'secretFile'>): ConnectionSettings {
  const { brokers, client_id, tls, request_timeout_ms, connect_timeout_ms, metadata_max_age_ms } = options
  brokers.forEach((broker, index) => {
    const port = Number(BROKER.exec(broker)?.[1])
    if (!(port >= 1 && port <= 65_535))
      throw new OptionError(`brokers[${index}]`, `"${broker}" is no broker; write a name and a port, like kafka1.example:9092`)
  })
  if ((tls?.cert === undefined) !== (tls?.key === undefined))
    throw new OptionError('tls', 'cert and key belong together: give both or none')
  const sasl = saslOf(options, site)
  if (sasl?.mechanism === 'oauthbearer' && !tls && !brokers.every(broker => LOOPBACK.test(broker)))
    throw new OptionError('sasl', 'tokens go over TLS alone; add tls: {}')
  return {
    ...{ brokers, clientId: client_id, sasl },
    tls: tls && { ca: tls.ca, cert: tls.cert, key: tls.key, serverName: tls.server_name, insecure: tls.insecure },
    ...{ requestTimeoutMs: request_timeout_ms, connectTimeoutMs: connect_timeout_ms, metadataMaxAgeMs: metadata_max_age_ms },
  }
}

function saslOf({ brokers, sasl }: ConnectionOptions, site: Pick<Site, 'secretFile'>): SaslSettings | undefined {
  if (!sasl) return undefined
  const { mechanism, username, password, token_file, entra } = sasl
  if (mechanism !== 'oauthbearer') {
    if (token_file !== undefined || entra)
      throw new OptionError(
        `sasl.${entra ? 'entra' : 'token_file'}`,
        `is for the mechanism oauthbearer, and this is ${mechanism}`,
      )
    if (username === undefined || password === undefined)
      throw new OptionError('sasl', `the mechanism ${mechanism} needs username and password`)
    return { mechanism, username, password, file: site.secretFile(password) }
  }
  if (username !== undefined || password !== undefined)
    throw new OptionError('sasl', 'the mechanism oauthbearer takes token_file or entra, and no username and password')
  if ((token_file === undefined) === (entra === undefined)) throw new OptionError('sasl', 'give either token_file or entra')
  if (token_file !== undefined) return { mechanism, tokenFile: token_file }
  const { tenant_id, client_id, client_secret, client_certificate, federated_token_file, ca, proxy } = entra!
  const given = [client_secret, client_certificate, federated_token_file].filter(value => value !== undefined)
  if (given.length !== 1)
    throw new OptionError('sasl.entra', 'give one of client_secret, client_certificate and federated_token_file')
  const secret_file = client_secret === undefined ? undefined : site.secretFile(client_secret)
  const authority = (entra!.authority_url ?? hostsOf(entra!.cloud).authority).replace(/\/+$/, '')
  if (URL.parse(authority)?.protocol !== 'https:')
    throw new OptionError('sasl.entra.authority_url', `"${authority}" is no https:// address, and secrets go nowhere else`)
  return {
    mechanism,
    entra: {
      ...{ tenantId: tenant_id, clientId: client_id, authority, ca, proxy },
      credentials: { client_secret, secret_file, client_certificate, federated_token_file },
      audience: (entra!.audience ?? `https://${brokers[0]!.replace(/:\d+$/, '')}`).replace(/\/(\.default)?$/, ''),
    },
  }
}
