// The options of the input: checked, documented and offered by editors from here.
import { CLOUDS } from '../../lib/microsoft/service/clouds.ts'
import { CONTENT_TYPES } from '../../lib/microsoft/service/content-types.ts'

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
  until: {
    type: 'string',
    description: 'Ends the input: content made from this UTC time on, or from so long before each start (0m, 36h), is left alone',
  },
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

/** The file of `tenants_file` has the same key. */
export const TENANTS_FILE = {
  tenants: {
    type: 'array',
    required: true,
    items: { type: 'object', properties: TENANT, additionalProperties: false },
    description: 'The tenants',
  },
} as const

export const OPTIONS = {
  tenants: {
    type: 'array',
    minItems: 1,
    items: { type: 'object', properties: TENANT, additionalProperties: false },
    description: 'The tenants, each with its credentials; other options of a tenant go before those of all',
  },
  tenants_file: {
    type: 'string',
    format: 'path',
    description:
      'YAML or JSON file with more tenants under the key `tenants`; read again when it changes: tenants come, go and change without a ' +
      'restart, and paths in it count from its folder',
  },
  ...SHARED,
  publisher: {
    type: 'string',
    description: "GUID of the organisation whose quota is used; each tenant's own when it is not set",
  },
  poll_interval_ms: {
    type: 'integer',
    minimum: 100,
    default: 60_000,
    description: 'How often a tenant is asked for what is new',
  },
  overlap_ms: {
    type: 'integer',
    minimum: 0,
    maximum: 82_800_000,
    default: 3_600_000,
    description: 'How far back each listing goes over what was listed before, because content may appear late',
  },
  sweep_interval_ms: {
    type: 'integer',
    minimum: 1000,
    default: 21_600_000,
    description: 'How often all seven days are listed again, for content that appeared later still',
  },
  look_again_ms: {
    type: 'integer',
    minimum: 0,
    default: 3_600_000,
    description:
      'How long after it was made a blob that was read before is read once more, because some have grown since; what is the same is ' +
      'skipped. 0: never',
  },
  parallel: {
    type: 'integer',
    minimum: 1,
    maximum: 64,
    default: 8,
    description: 'How many blobs of a tenant are read at once',
  },
  max_blob_bytes: {
    type: 'integer',
    minimum: 1_048_576,
    default: 268_435_456,
    description: 'A blob that is larger when it is decoded is not read further',
  },
  webhook: {
    type: 'object',
    description:
      'Is told by the service when there is new content, beside asking for it; what it is told is a hint, and content is always fetched',
    properties: {
      address: {
        type: 'string',
        required: true,
        description: 'Public https:// address of this listener, as the service reaches it',
      },
      host: {
        type: 'string',
        minLength: 1,
        default: '127.0.0.1',
        description: 'Address to listen on; any but loopback needs tls',
      },
      port: {
        type: 'integer',
        required: true,
        minimum: 0,
        maximum: 65_535,
        description: 'Port to listen on; 0 takes a free one',
      },
      tls: {
        type: 'object',
        description: 'Serves https; without it something in front of the listener must',
        properties: {
          cert: { type: 'string', format: 'path', required: true, description: 'Certificate chain, a PEM file' },
          key: { type: 'string', format: 'path', required: true, description: 'Private key, a PEM file' },
        },
        additionalProperties: false,
      },
    },
    additionalProperties: false,
  },
  completeness_event_ms: {
    type: 'integer',
    minimum: 1000,
    description:
      'How often an event of its own tells the outputs, for each tenant and content type, up to when all is read and acknowledged; ' +
      'never when it is not set',
  },
  keep_matched_values: {
    type: 'boolean',
    default: false,
    description: 'Keep the texts that DLP rules matched, which are card numbers and the like in clear text',
  },
} as const
