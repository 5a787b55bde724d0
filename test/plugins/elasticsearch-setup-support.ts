// Documents as Penstock writes them to Elasticsearch, of every data set that it makes, and a cluster that is none.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { ChunkEvent } from '../../core/flow/event.ts'
import type { Site } from '../../core/plugin/interfaces.ts'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import { readSample } from '../../pipelines/samples/compose.ts'
import ecs from '../../plugins/filters/ecs/index.ts'
import { Completeness, type CompletenessOptions } from '../../plugins/inputs/o365_activity/completeness.ts'
import { type FieldGroup, fieldsOf, otherTypes, type TypeName } from '../../plugins/outputs/elasticsearch/setup/fields.ts'
import type { Connection } from '../../plugins/outputs/elasticsearch/setup/setup.ts'
import { casesOf, root } from '../kit/cases.ts'

const defaults = Object.fromEntries(Object.entries(ecs.options).map(([name, option]) => [name, option.default]))

/** What the ecs filter makes of all samples and in all of its cases, and what inputs tell of themselves. */
export function documents(): JsonObject[] {
  const cases = (casesOf('filter', 'ecs') ?? []).flatMap(({ output }) => [output ?? []].flat() as JsonObject[])
  // What passes the filter as it is has no version of ECS.
  return [...[...cases, ...sampleRecords().map(mapped)].filter(doc => doc['ecs'] !== undefined), ...completenessEvents()]
}

function sampleRecords(): JsonObject[] {
  const folder = join(root, 'pipelines/samples')
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\.(ndjson|gz|json|csv)$/.test(entry.name))
    .flatMap(entry => {
      const path = join(entry.parentPath, entry.name).slice(folder.length + 1)
      const text = readSample(path)
      if (path.endsWith('.csv')) return parse(text, { columns: true, bom: true }) as JsonObject[]
      if (path.endsWith('.json')) {
        const whole = JSON.parse(text) as JsonObject[] | { value: JsonObject[] }
        return Array.isArray(whole) ? whole : whole.value
      }
      // The samples have torn lines on purpose.
      return text.split('\n').flatMap(line => (line.endsWith('}') ? [JSON.parse(line) as JsonObject] : []))
    })
}

function mapped(record: JsonObject): JsonObject {
  const filter = ecs.create({ ...defaults, unknown: 'pass', keep_original: true, domains: ['contoso.example'] }, {} as Site)
  const bytes = Buffer.from(JSON.stringify(record))
  const event = new ChunkEvent(record, {}, bytes, 0, bytes.length)
  filter.apply?.(event)
  return event.fields
}

function completenessEvents(): JsonObject[] {
  const options = {
    settings: { label: 'contoso', name: 'contoso.example', tenantId: 't1', contentTypes: ['Audit.General', 'DLP.All'] },
    state: {
      ledger: { watermark: () => 1_777_626_753_000, waiting: 0 },
      delays: () => ({ quantile: (of: number) => of * 1000 }),
    },
    client: { now: () => 1_777_626_800_000, requests: 0 },
    clock: { monotonic: () => 0 },
  }
  const chunk = new Completeness(options as unknown as CompletenessOptions).chunk()
  return Buffer.from(chunk?.bytes ?? [])
    .toString('utf8')
    .split('\n')
    .map(line => JSON.parse(line) as JsonObject)
}

const GROUPS: readonly FieldGroup[] = ['ecs', 'o365.audit', 'microsoft.online_message_trace', 'penstock']
/** Below these, all that is not known is a keyword. */
export const OPEN_ROOTS = ['o365.audit.', 'microsoft.online_message_trace.']

/** The type that the templates give a field; undefined where none is meant. */
export function typeOf(field: string): TypeName | undefined {
  for (const group of GROUPS) {
    const type = fieldsOf(group).get(field)
    if (type !== undefined) return type
  }
  if (field.startsWith('o365.audit.Data.flattened.')) return 'flattened'
  if (OPEN_ROOTS.some(root => field.startsWith(root))) return 'keyword'
  for (const [type, names] of otherTypes) if (names.includes(field)) return type
  return undefined
}

/** Every value of a document that is no object, by the path of its field; values of lists one by one. */
export function values(value: unknown, path = '', into: [path: string, value: unknown][] = []): [string, unknown][] {
  if (Array.isArray(value)) for (const item of value) values(item, path, into)
  else if (isObject(value)) for (const key of Object.keys(value)) values(value[key], path === '' ? key : `${path}.${key}`, into)
  else into.push([path, value])
  return into
}

/** As much of a cluster as setup talks to: it keeps what is put, and gives it back as Elasticsearch does. */
export class Cluster implements Connection {
  readonly kept = new Map<string, JsonObject>()
  readonly asked: string[] = []
  /** Answers in the place of the cluster's. */
  answer: ((method: string, path: string) => { status: number; json?: unknown } | undefined) | undefined

  async request(method: string, path: string, body?: JsonObject): Promise<{ status: number; json?: unknown }> {
    this.asked.push(`${method} ${path}`)
    const other = this.answer?.(method, path)
    if (other) return other
    if (method === 'PUT') {
      this.kept.set(path, structuredClone(body ?? {}))
      return { status: 200, json: { acknowledged: true } }
    }
    const [, api = '', name = ''] = path.split('/')
    if (api === '_data_stream') return { status: 404 }
    if (api === '_ilm') {
      const policy = this.kept.get(path)
      const last = path.split('/').at(-1) as string
      return policy ? { status: 200, json: { [last]: { version: 1, ...policy } } } : { status: 404 }
    }
    const of = [...this.kept].filter(([key]) => key.startsWith(`/${api}/`) && (name === '' || key === path))
    if (name !== '' && of.length === 0) return { status: 404, json: { error: { reason: 'not there' } } }
    const list = of.map(([key, body]) => ({ name: decodeURIComponent(key.split('/')[2] as string), [api.slice(1)]: body }))
    return { status: 200, json: { [`${api.slice(1)}s`]: list } }
  }

  /** The requests that change something. */
  get puts(): string[] {
    return this.asked.filter(line => line.startsWith('PUT'))
  }
}
