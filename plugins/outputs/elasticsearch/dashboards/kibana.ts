// Imports saved objects into Kibana over its API.
import { randomUUID } from 'node:crypto'
import { PenstockError } from '../../../../core/plugin/errors.ts'
import { isObject } from '../../../../core/plugin/json.ts'
import type { HttpClient } from '../../../lib/http/client.ts'
import { type SavedObject, toNdjson } from './saved-object.ts'

export interface KibanaTarget {
  /** Kibana's address, with its base path if it has one. */
  readonly url: string
  /** The space to import into. Default: the default space. */
  readonly space?: string
  /** The value of the header Authorization: that of an API key or a user with rights in Kibana. */
  readonly authorization?: string
}

const ANSWER_BYTES = 1024 * 1024
const NAMED = 3

/** Resolves to how many objects were imported; those of an earlier import are replaced. Throws a PenstockError otherwise. */
export async function importDashboards(
  client: Pick<HttpClient, 'request'>,
  { url, space, authorization }: KibanaTarget,
  objects: readonly SavedObject[],
  signal: AbortSignal,
): Promise<number> {
  const base = URL.parse(url.endsWith('/') ? url : `${url}/`)
  if (!base || !/^https?:$/.test(base.protocol) || base.username || base.password || base.search || base.hash)
    throw new PenstockError(
      'PEN_KIBANA',
      `"${url}" is no address of a Kibana: write it like https://kibana.example:5601, without a user.`,
    )
  if (authorization !== undefined && base.protocol === 'http:' && !/^(localhost|127\..*|\[::1\])$/.test(base.hostname))
    throw new PenstockError('PEN_KIBANA', `${base.origin} is not encrypted, and no credentials go there: use https://.`)
  const path = `${space === undefined ? '' : `s/${encodeURIComponent(space)}/`}api/saved_objects/_import?overwrite=true`
  const boundary = `penstock-${randomUUID()}`
  const answer = await client.request(new URL(path, base), {
    method: 'POST',
    headers: {
      // Kibana takes no request that changes something without it.
      'kbn-xsrf': 'penstock',
      'content-type': `multipart/form-data; boundary=${boundary}`,
      ...(authorization !== undefined && { authorization }),
    },
    body: [
      `--${boundary}`,
      'Content-Disposition: form-data; name="file"; filename="penstock.ndjson"',
      'Content-Type: application/ndjson',
      '',
      toNdjson(objects),
      `--${boundary}--`,
      '',
    ].join('\r\n'),
    signal,
    maxBytes: ANSWER_BYTES,
  })
  const text = await answer.text(ANSWER_BYTES)
  const said = parsed(text)
  if (answer.status !== 200) throw refused(answer.status, said, text)
  if (!isObject(said) || typeof said['successCount'] !== 'number')
    throw new PenstockError('PEN_KIBANA', `Whoever answers at ${base.origin} is no Kibana: ${text.slice(0, 200)}`)
  if (said['success'] === true && said['successCount'] === objects.length) return objects.length
  const errors = Array.isArray(said['errors']) ? said['errors'].filter(isObject) : []
  const named = errors
    .slice(0, NAMED)
    .map(({ id, error }) => `${String(id)} (${isObject(error) ? String(error['type']) : 'unknown'})`)
  throw new PenstockError(
    'PEN_KIBANA',
    `Kibana imported ${said['successCount']} of ${objects.length} objects${named.length > 0 ? `, and not ${named.join(', ')}` : ''}.`,
  )
}

function refused(status: number, said: unknown, text: string): PenstockError {
  const why = isObject(said) && typeof said['message'] === 'string' ? said['message'] : text.slice(0, 200)
  const remedy =
    status === 401 || status === 403
      ? ' The key needs rights in Kibana: all of Saved Objects Management, Dashboards, Maps and Data Views.'
      : status === 404
        ? ' Look at the address, its base path and the space.'
        : ''
  return new PenstockError('PEN_KIBANA', `Kibana answered ${status}: ${why}.${remedy}`)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
