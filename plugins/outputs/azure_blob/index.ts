// Writes events to Azure Blob Storage: append blobs that grow, or a blob for each batch; NDJSON, CSV or JSON arrays, plain or packed.
import { createHash, randomInt } from 'node:crypto'
import { defineOutput } from '../../../core/plugin/define.ts'
import { asError, OptionError, RetryableError } from '../../../core/plugin/errors.ts'
import type { Context, Item, Output } from '../../../core/plugin/interfaces.ts'
import { addressBook, byDestination } from '../../lib/export/destinations.ts'
import { formatOf } from '../../lib/export/format.ts'
import { type HttpClient, openHttp } from '../../lib/http/client.ts'
import { credentialsOf } from '../../lib/microsoft/service/credentials.ts'
import { tokensOf } from '../../lib/microsoft/service/tokens.ts'
import { type Secret, secretOf } from '../../lib/secret.ts'
import { compile } from '../../lib/template.ts'
import { accountOf, rightOf } from './account.ts'
import { Blocks } from './blocks.ts'
import { isRefusal, retryable } from './failures.ts'
import { NAME_RULES } from './names.ts'
import { MOST_BLOCKS, OPTIONS } from './options.ts'
import { SeriesWriter } from './series.ts'
import { SingleWriter } from './singles.ts'
import { type BlobStore, openStore } from './store.ts'
import { type BlobWriter, progressOf } from './writer.ts'

const WRITER_ROW = 'writer'
const WRITER_CHARACTERS = 'abcdefghijkmnpqrstuvwxyz23456789'
const WRITER_LENGTH = 8
/** Blobs that the summary counts. */
const COUNTED = 10_000

export default defineOutput({
  summary: 'Writes events to Azure Blob Storage as NDJSON, CSV or JSON arrays, plain or compressed',
  description: `
\`blob\` is a name with places for an event's values, as the \`path\` of the file output has them: events choose names below the folder before
the first place. Each name gets a part of this engine's own (kept in the state) and a number, \`audit.k3x9q2ab-0001.ndjson\`: two engines
never share a blob.

With \`blob_type: append\` each batch is a block at the end of a blob, which a reader sees whole or not at all. It is sent with the
position that it must get, so that a block whose answer was lost is found when it is sent again, and is not there twice. After
\`max_blocks\` blocks, before \`rotate_bytes\`, or when a blob takes no more, the next number begins. With \`blob_type: block\` each batch
is a blob of its own, named by its time, which is never overwritten; \`format: json\`, one array a blob, needs it. After a restart a batch
that was under way may be there twice. A batch is a request for each blob it goes to: let it wait for more events
(\`batch: { max_ms: 60000 }\`) where few come.

Access is by \`account\` and \`account_key\`, a \`connection_string\`, a SAS (\`sas_url\`, or \`sas_token\` with \`account\`; it needs the
permissions read, add, create and write), or Entra (\`tenant_id\`, \`client_id\` and a secret, certificate or token file; the role Storage
Blob Data Contributor). What is refused is tried for ever, and secrets from files are read again when they change. Tested against Azurite,
Microsoft's emulator; with Entra against a simulated login service and a server that looks at the token, not against Azure itself.`,
  options: OPTIONS,
  batch: { max_events: 20_000, max_bytes: 4 * 1024 * 1024, max_ms: 5_000 },
  examples: [
    {
      account: 'contosologs',
      account_key: 'c2VjcmV0',
      container: 'audit',
      blob: 'o365/%{event.dataset:-unknown}/%{+yyyy-MM-dd}.ndjson.gz',
      compression: 'gzip',
    },
    {
      account: 'contosologs',
      tenant_id: '11111111-1111-1111-1111-111111111111',
      client_id: '33333333-3333-3333-3333-333333333333',
      client_certificate: '/etc/penstock/contoso.pem',
      container: 'audit',
      blob: 'arrays/%{+yyyy/MM/dd}/audit.json',
      blob_type: 'block',
      format: 'json',
    },
  ],
  create(options, site) {
    const format = formatOf(options)
    const { blob_type, compression, container, ca, proxy, parallel } = options
    if (format.name === 'json' && blob_type === 'append')
      throw new OptionError('format', 'a blob that grows cannot be one array; write blob_type: block, or format: ndjson')
    if (blob_type === 'block') {
      for (const option of ['rotate_bytes', 'max_blocks'] as const)
        if (options[option] !== undefined)
          throw new OptionError(
            option,
            'is for append blobs; with blob_type: block each batch is a blob, and batch.max_bytes its size',
          )
    }
    const name = compile(options.blob, 'blob', NAME_RULES)
    const fixed = name.fields.length === 0
    const refused = fixed && NAME_RULES.rendered(name.text, name.literalPrefix)
    if (refused) throw new OptionError('blob', `"${name.text}" ${refused}`)
    const right = rightOf(options)
    const given = options[right] as string
    accountOf(options, right, given)
    const layout = [format.name, compression, createHash('sha256').update(format.head).digest('hex').slice(0, 8)].join('-')

    const address = addressBook()
    /** Items that are stored although their batch is not, yet. */
    const stored = new WeakSet<Item>()
    const blobs = new Set<string>()
    let context: Context
    let secret: Secret
    let http: HttpClient | undefined
    let store: BlobStore | undefined
    let writer: BlobWriter
    let tokens: ReturnType<typeof tokensOf> | undefined
    let [events, bytes] = [0, 0]

    const output: Output = {
      encode(event, to) {
        const found = fixed ? undefined : address(name.render(event.fields))
        format.encode(event.fields, to)
        return found
      },
      async open(own) {
        context = own
        const { clock, log } = own
        secret = secretOf(given, site.secretFile(given))
        http = await openHttp({ clock, ca, proxy, connections: parallel, silenceMs: options.timeout_ms, http1: true })
        if (right === 'tenant_id') tokens = tokensFor(http)
        const blocks = new Blocks(format, compression, options.block_bytes)
        const engine = await writerOf(own)
        const { max_blocks: maxBlocks = MOST_BLOCKS, rotate_bytes: rotateBytes } = options
        writer =
          blob_type === 'append'
            ? new SeriesWriter({ writer: engine, blocks, maxBlocks, rotateBytes, log })
            : new SingleWriter({ writer: engine, blocks, clock })
      },
      async write(items, reject, signal) {
        try {
          store ??= await connected()
          await writeAll(store, items, reject, signal)
        } catch (error) {
          // What gives access may be another one in its file by now.
          if (isRefusal(error) && secret.renew()) store = undefined
          throw signal.aborted ? error : retryable(error)
        }
      },
      async close() {
        await http?.close()
      },
      summary() {
        return {
          title: `Azure Blob output ${site.id}`,
          rows: [
            ['container', container],
            ['blobs', blobs.size],
            ['events', events],
            ['bytes', bytes],
          ],
        }
      },
    }
    return output

    /** The blobs of a batch, several at once. */
    async function writeAll(
      to: BlobStore,
      items: readonly Item[],
      reject: (index: number, error: Error) => void,
      signal: AbortSignal,
    ): Promise<void> {
      const progress = progressOf(
        stored,
        (item, error) => reject(items.indexOf(item), error),
        (block, blob) => {
          if (blobs.size < COUNTED) blobs.add(blob)
          events += block.items.length
          bytes += block.bytes.length
        },
      )
      const left = byDestination(
        items.filter(item => !stored.has(item)),
        fixed,
      )
      const failures: unknown[] = []
      const run = async () => {
        for (let one = left.shift(); one; one = left.shift()) {
          await writer.write(to, one.to ?? name.text, one.items, progress, signal).catch((error: unknown) => {
            failures.push(error)
            // The others would wait for the same dead service, one after the other.
            left.length = 0
          })
        }
      }
      await Promise.all(Array.from({ length: parallel }, run))
      if (failures.length > 0) throw longest(failures)
    }

    async function connected(): Promise<BlobStore> {
      const { create_container: createContainer, timeout_ms: timeoutMs } = options
      let account: ReturnType<typeof accountOf>
      try {
        account = accountOf(options, right, secret.value)
      } catch (error) {
        // What is wrong with a file that was changed may be mended in it.
        secret.renew()
        throw new RetryableError(`azure_blob: ${asError(error).message}`)
      }
      const contentType = { none: format.contentType, gzip: 'application/gzip', zstd: 'application/zstd' }[compression]
      const { clock } = context
      return openStore({
        ...{ account, container, createContainer, contentType, layout, tokens, timeoutMs, clock },
        http: http as HttpClient,
      })
    }

    function tokensFor(client: HttpClient): ReturnType<typeof tokensOf> {
      const { tenant_id, client_id, client_secret, client_certificate, federated_token_file, authority_url, audience } = options
      const secret_file = client_secret === undefined ? undefined : site.secretFile(client_secret)
      return tokensOf({
        ...{ tenantId: tenant_id as string, clientId: client_id as string, audience, http: client, clock: context.clock },
        authority: authority_url.replace(/\/$/, ''),
        credentials: credentialsOf({ client_secret, secret_file, client_certificate, federated_token_file }),
      })
    }
  },
})

/** The part of this engine's names that no other engine has; the same after a restart. */
async function writerOf({ rows }: Context): Promise<string> {
  const known = await rows.get(WRITER_ROW)
  if (typeof known === 'string') return known
  let writer = ''
  while (writer.length < WRITER_LENGTH) writer += WRITER_CHARACTERS[randomInt(WRITER_CHARACTERS.length)]
  await rows.put([[WRITER_ROW, writer]])
  return writer
}

/** Of several failures the one that asks for the longest wait. */
function longest(failures: readonly unknown[]): unknown {
  const asked = (failure: unknown) => (failure as { after?: number }).after ?? 0
  return failures.reduce((most, one) => (asked(one) > asked(most) ? one : most))
}
