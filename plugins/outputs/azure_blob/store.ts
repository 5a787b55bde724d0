// The few things that the output asks of the Blob service, over its client library.
import type { AppendBlobClient, ContainerClient } from '@azure/storage-blob'
import type { Clock } from '../../../core/plugin/interfaces.ts'
import type { HttpClient } from '../../lib/http/client.ts'
import type { Tokens } from '../../lib/microsoft/service/tokens.ts'
import type { Account } from './account.ts'
import { BlobFailure, blobFailure } from './failures.ts'
import { transportOf } from './transport.ts'

export interface StoreOptions {
  readonly account: Account
  readonly container: string
  readonly createContainer: boolean
  readonly contentType: string
  /** Which layout the blobs have: one with another is not appended to. */
  readonly layout: string
  readonly http: HttpClient
  readonly tokens: Tokens | undefined
  readonly timeoutMs: number
  readonly clock: Clock
}

/** What is known of a blob. */
export interface Seen {
  readonly length: number
  /** Of an append blob. */
  readonly blocks: number
  /** It is an append blob of this layout. */
  readonly ours: boolean
}

/** Each rejects with a BlobFailure. */
export interface BlobStore {
  /** Makes an empty append blob; false when there is a blob of this name. */
  create(name: string, signal: AbortSignal): Promise<boolean>
  /** Appends to a blob that is exactly `position` bytes long; resolves to how many blocks it has then. */
  append(name: string, bytes: Buffer, position: number, signal: AbortSignal): Promise<number>
  /** Makes a block blob with this content; false when there is a blob of this name. */
  put(name: string, bytes: Buffer, signal: AbortSignal): Promise<boolean>
  /** Undefined when there is no such blob. */
  look(name: string, signal: AbortSignal): Promise<Seen | undefined>
  /** True when exactly these bytes lie at this place of a blob. */
  holds(name: string, position: number, bytes: Buffer, signal: AbortSignal): Promise<boolean>
}

const LAYOUT_KEY = 'penstock_layout'
/** There is one already. */
const THERE = new Set(['BlobAlreadyExists', 'ConditionNotMet', 'TargetConditionNotMet', 'UnauthorizedBlobOverwrite'])

/** Loads the client library. */
export async function openStore(options: StoreOptions): Promise<BlobStore> {
  const { account, container, createContainer, contentType, layout, clock } = options
  const {
    AnonymousCredential,
    ContainerClient: Client,
    newPipeline,
    StorageSharedKeyCredential,
  } = await import('@azure/storage-blob')
  const { endpoint, name, key, sas } = account
  const credential =
    name !== undefined && key !== undefined ? new StorageSharedKeyCredential(name, key) : new AnonymousCredential()
  const pipeline = newPipeline(credential, {
    httpClient: transportOf({ ...options, origin: new URL(endpoint).origin }),
    // The engine tries again, and says so.
    retryOptions: { maxTries: 1 },
    userAgentOptions: { userAgentPrefix: 'penstock' },
  })
  const client: ContainerClient = new Client(`${endpoint}/${container}${sas === undefined ? '' : `?${sas}`}`, pipeline)
  const blobHTTPHeaders = { blobContentType: contentType }
  const metadata = { [LAYOUT_KEY]: layout }
  const ifNoneMatch = '*'

  /** Asks, and once more when the container was missing and may be made. */
  async function ask<T>(where: string, request: () => Promise<T>, abortSignal: AbortSignal): Promise<T> {
    for (let made = false; ; made = true) {
      try {
        return await request()
      } catch (thrown) {
        if (abortSignal.aborted) throw abortSignal.reason
        const failure = blobFailure(thrown, `${container}/${where}`, clock.now())
        if (made || !createContainer || !(failure instanceof BlobFailure) || failure.service !== 'ContainerNotFound')
          throw failure
      }
      await client.createIfNotExists({ abortSignal }).catch((thrown: unknown) => {
        throw blobFailure(thrown, container, clock.now())
      })
    }
  }

  /** False when the name was taken. */
  async function make(where: string, request: () => Promise<unknown>, signal: AbortSignal): Promise<boolean> {
    try {
      await ask(where, request, signal)
      return true
    } catch (failure) {
      if (failure instanceof BlobFailure && THERE.has(failure.service)) return false
      throw failure
    }
  }

  const blob = (name: string): AppendBlobClient => client.getAppendBlobClient(name)
  return {
    create: (name, signal) =>
      make(
        name,
        () => blob(name).create({ abortSignal: signal, conditions: { ifNoneMatch }, blobHTTPHeaders, metadata }),
        signal,
      ),
    put: (name, bytes, signal) =>
      make(
        name,
        () =>
          client
            .getBlockBlobClient(name)
            .upload(bytes, bytes.length, { abortSignal: signal, conditions: { ifNoneMatch }, blobHTTPHeaders, metadata }),
        signal,
      ),
    async append(name, bytes, appendPosition, signal) {
      const request = () => blob(name).appendBlock(bytes, bytes.length, { abortSignal: signal, conditions: { appendPosition } })
      const { blobCommittedBlockCount } = await ask(name, request, signal)
      return blobCommittedBlockCount ?? 0
    },
    async look(name, signal) {
      try {
        const seen = await ask(name, () => blob(name).getProperties({ abortSignal: signal }), signal)
        const ours = seen.blobType === 'AppendBlob' && !seen.isSealed && seen.metadata?.[LAYOUT_KEY] === layout
        return { length: seen.contentLength ?? 0, blocks: seen.blobCommittedBlockCount ?? 0, ours }
      } catch (failure) {
        if (failure instanceof BlobFailure && failure.status === 404 && failure.service !== 'ContainerNotFound') return undefined
        throw failure
      }
    },
    holds: (name, position, bytes, signal) =>
      ask(
        name,
        async () => {
          const there = Buffer.alloc(bytes.length)
          await blob(name).downloadToBuffer(there, position, bytes.length, { abortSignal: signal })
          return there.equals(bytes)
        },
        signal,
      ),
  }
}
