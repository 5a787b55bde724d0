// What the tests of the output elasticsearch on a real server share.
import type { Test } from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { scratch } from '../kit/kill-run.ts'
import { type ElasticsearchServer, startElasticsearch } from './elasticsearch/server.ts'

export const STREAM = 'logs-o365.audit-test'

export const TEMPLATE = {
  index_patterns: ['logs-*-*'],
  priority: 500,
  data_stream: {},
  template: {
    mappings: {
      properties: { '@timestamp': { type: 'date' }, source: { properties: { ip: { type: 'ip' } } }, n: { type: 'long' } },
    },
  },
}

export function events(count: number, from = 0, more: JsonObject = {}): JsonObject[] {
  return Array.from({ length: count }, (_, index) => ({
    '@timestamp': '2026-05-01T10:00:00Z',
    n: from + index,
    event: { id: `e${from + index}`, dataset: 'o365.audit' },
    ...more,
  }))
}

export async function serverIn(t: Test, options: Partial<Parameters<typeof startElasticsearch>[0]> = {}) {
  const server = await startElasticsearch({ folder: scratch(t), ...options })
  t.teardown(() => server.stop())
  return server
}

export async function count(server: ElasticsearchServer, name: string): Promise<number> {
  await server.request('POST', `/${name}/_refresh`)
  const { status, json } = await server.request('GET', `/${name}/_count`)
  return status === 200 ? json.count : 0
}
