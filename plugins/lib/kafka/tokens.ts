// Tokens for OAUTHBEARER: from a file that somebody else renews, or from Entra.
import { readFile } from 'node:fs/promises'
import { asError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'
import { openHttp } from '../http/client.ts'
import { credentialsOf } from '../microsoft/service/credentials.ts'
import { tokensOf } from '../microsoft/service/tokens.ts'
import { KafkaError } from './client.ts'
import type { SaslSettings } from './options.ts'

export interface BearerTokens {
  /** A token for a new connection. Rejects with a KafkaError. */
  get(): Promise<string>
  /** The brokers did not take the last one. */
  refused(): void
  close(): Promise<void>
}

export async function openTokens(
  sasl: Extract<SaslSettings, { readonly mechanism: 'oauthbearer' }>,
  clock: Clock,
): Promise<BearerTokens> {
  if ('tokenFile' in sasl) {
    const { tokenFile } = sasl
    return {
      async get() {
        try {
          const token = (await readFile(tokenFile, 'utf8')).trim()
          if (token === '') throw new Error('it is empty')
          return token
        } catch (cause) {
          const why = `the file ${tokenFile} (sasl.token_file) cannot be read: ${asError(cause).message}`
          throw new KafkaError('authentication', why, { cause })
        }
      },
      refused() {},
      async close() {},
    }
  }
  const { ca, proxy, credentials, ...rest } = sasl.entra
  const http = await openHttp({ clock, ca, proxy })
  const tokens = tokensOf({ ...rest, credentials: credentialsOf(credentials), http, clock })
  const stop = new AbortController()
  let last = ''
  return {
    async get() {
      try {
        last = await tokens.get(stop.signal)
        return last
      } catch (cause) {
        throw new KafkaError('authentication', asError(cause).message, { cause })
      }
    },
    refused() {
      tokens.refuse(last)
    },
    async close() {
      stop.abort()
      await http.close()
    },
  }
}
