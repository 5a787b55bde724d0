// Lets the storage client send its requests through the project's own HTTP: its limits, its certificates and proxies, and to no other host.
import { Readable } from 'node:stream'
import type { HttpOperationResponse, IHttpClient, WebResource } from '@azure/storage-blob'
import { type HttpClient, HttpError } from '../../lib/http/client.ts'
import type { Tokens } from '../../lib/microsoft/service/tokens.ts'

export interface TransportOptions {
  readonly http: HttpClient
  /** Where requests may go. */
  readonly origin: string
  readonly timeoutMs: number
  /** Entra: each request gets a token. */
  readonly tokens: Tokens | undefined
}

/** An answer's text: an error, or a few properties. */
const TEXT_BYTES = 1024 * 1024

export function transportOf({ http, origin, timeoutMs, tokens }: TransportOptions): IHttpClient {
  return {
    async sendRequest(request: WebResource): Promise<HttpOperationResponse> {
      const url = new URL(request.url)
      // The client follows a redirect by another request, with what gives access.
      if (url.origin !== origin)
        throw new HttpError('PEN_REDIRECT', `${origin} sends to ${url.origin}, which was not configured; look at endpoint`)
      const { abortSignal, body, streamResponseStatusCodes } = request
      const signal = abortSignal instanceof AbortSignal ? abortSignal : new AbortController().signal
      const headers = request.headers.toJson()
      const token = await tokens?.get(signal)
      const answer = await http.request(url, {
        // HEAD is a method that the client passes on as it is.
        method: request.method as 'GET',
        headers: { ...headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
        ...(body !== undefined && body !== null && { body: body as Uint8Array }),
        signal,
        totalMs: timeoutMs,
      })
      if (token !== undefined && answer.status === 401) tokens?.refuse(token)
      const got = request.headers.clone()
      for (const name of got.headerNames()) got.remove(name)
      for (const [name, value] of Object.entries(answer.headers)) if (value !== undefined) got.set(name, String(value))
      const { status } = answer
      return streamResponseStatusCodes?.has(status)
        ? { request, status, headers: got, readableStreamBody: Readable.from(answer.body) }
        : { request, status, headers: got, bodyAsText: await answer.text(TEXT_BYTES) }
    },
  }
}
