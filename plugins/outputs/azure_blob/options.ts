// The options of the output: checked, documented and offered by editors from here.
import type { OptionSchemas } from '../../../core/plugin/options.ts'
import { FORMAT_OPTIONS } from '../../lib/export/format.ts'

/** Blocks that an append blob takes (Azure Storage, scale targets of Blob storage). */
export const MOST_BLOCKS = 50_000
const MIB = 1024 * 1024

export const OPTIONS = {
  container: {
    type: 'string',
    required: true,
    pattern: '^[a-z0-9](?:-?[a-z0-9]){2,62}$',
    description: 'The container; lower-case letters, digits and single hyphens',
  },
  blob: {
    type: 'string',
    required: true,
    minLength: 1,
    description: 'Name of the blobs; may hold `%{field}` and `%{+yyyy-MM-dd}` below a literal folder',
  },
  blob_type: {
    type: 'string',
    enum: ['append', 'block'],
    default: 'append',
    description: 'append: batches are added to one blob after the other; block: each batch is a blob of its own',
  },
  ...FORMAT_OPTIONS,
  compression: {
    type: 'string',
    enum: ['none', 'gzip', 'zstd'],
    default: 'none',
    description: 'Packs each batch; let the name end in .gz or .zst then',
  },
  account: { type: 'string', minLength: 1, description: 'The storage account, with account_key, sas_token or Entra' },
  account_key: { type: 'string', secret: true, description: 'A key of the account' },
  connection_string: { type: 'string', secret: true, description: "The account's connection string, with a key or a SAS in it" },
  sas_url: { type: 'string', secret: true, description: 'URL of the container, or of the account, with a SAS' },
  sas_token: { type: 'string', secret: true, description: 'A SAS alone, as in sv=…&sig=…, with account or endpoint' },
  tenant_id: { type: 'string', description: "Entra: the tenant's id, a GUID" },
  client_id: { type: 'string', description: "Entra: the application's id, a GUID" },
  client_secret: { type: 'string', secret: true, description: "Entra: the application's secret" },
  client_certificate: {
    type: 'string',
    format: 'path',
    description: "Entra: PEM file with the application's certificate and private key",
  },
  federated_token_file: {
    type: 'string',
    format: 'path',
    description: 'Entra: file with an assertion that somebody else renews (workload identity)',
  },
  authority_url: {
    type: 'string',
    default: 'https://login.microsoftonline.com',
    description: 'Entra: origin of the login service',
  },
  audience: { type: 'string', default: 'https://storage.azure.com', description: 'Entra: what tokens are asked for' },
  endpoint: {
    type: 'string',
    description: 'URL of the Blob service where it is not https://ACCOUNT.blob.core.windows.net (other clouds, Azurite)',
  },
  create_container: { type: 'boolean', default: false, description: 'Makes the container when it is missing' },
  block_bytes: {
    type: 'integer',
    minimum: 4096,
    maximum: 100 * MIB,
    default: 4 * MIB,
    description:
      'Longest block of an append blob, and longest block blob, in bytes; newer versions of the service take up to 104857600',
  },
  max_blocks: {
    type: 'integer',
    minimum: 1,
    maximum: MOST_BLOCKS,
    description: 'Blocks of an append blob before the next one begins; as many as it takes, 50000, when it is not set',
  },
  rotate_bytes: {
    type: 'integer',
    minimum: 1024,
    description: 'Begins the next append blob before one grows beyond this many bytes',
  },
  parallel: { type: 'integer', minimum: 1, maximum: 64, default: 8, description: 'Blobs that are written at once' },
  timeout_ms: {
    type: 'integer',
    minimum: 100,
    maximum: 3_600_000,
    default: 60_000,
    description: 'What a request may take until its answer is there; then it counts as not answered',
  },
  ca: { type: 'string', format: 'path', description: 'PEM file of certificates that are trusted beside those of the system' },
  proxy: { type: 'string', secret: true, description: 'Proxy for every request; without it HTTPS_PROXY and NO_PROXY hold' },
} as const satisfies OptionSchemas
