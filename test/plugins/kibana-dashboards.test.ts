// The dashboards for Kibana: every reference and every field in them is there, and their ids stay the same.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { systemClock } from '../../core/observe/clock.ts'
import { isObject, type JsonObject } from '../../core/plugin/json.ts'
import { openHttp } from '../../plugins/lib/http/client.ts'
import { DATA_VIEWS } from '../../plugins/outputs/elasticsearch/dashboards/data-views.ts'
import { savedObjects, toNdjson } from '../../plugins/outputs/elasticsearch/dashboards/index.ts'
import { importDashboards, type KibanaTarget } from '../../plugins/outputs/elasticsearch/dashboards/kibana.ts'
import type { SavedObject } from '../../plugins/outputs/elasticsearch/dashboards/saved-object.ts'
import { type FieldGroup, fieldsOf } from '../../plugins/outputs/elasticsearch/setup/fields.ts'
import { DATA_SETS } from '../../plugins/outputs/elasticsearch/setup/templates.ts'
import { IDS } from './kibana-ids.ts'

const objects = savedObjects()
const key = ({ type, id }: { readonly type: string; readonly id: string }) => `${type} ${id}`
const byKey = new Map(objects.map(object => [key(object), object]))

/** Fields that every index has. */
const META = new Set(['_ignored', '_index', '_id'])

/** Fields of the documents behind a data view: those of any of its data sets. */
function fieldsBehind(viewId: string): (field: string) => string | undefined {
  const view = DATA_VIEWS.find(({ id }) => id === viewId)
  const groups = DATA_SETS.filter(({ name }) => view?.dataSets.includes(name)).flatMap(({ fields }) => fields ?? [])
  const all = new Map((['ecs', ...groups] as FieldGroup[]).flatMap(group => [...fieldsOf(group)]))
  return field => (META.has(field) ? 'keyword' : all.get(field))
}

/** The names in front of `:`, `<` or `>` in KQL, outside of quotes. */
function kqlFields(query: string): string[] {
  return [...query.replaceAll(/"[^"]*"/g, '""').matchAll(/([\w@.]+)\s*(?::|<|>)/g)].map(([, field]) => field as string)
}

/** Every value of the key `name`, however deep. */
function all(value: unknown, name: string): unknown[] {
  if (Array.isArray(value)) return value.flatMap(item => all(item, name))
  if (!isObject(value)) return []
  return Object.entries(value).flatMap(([own, held]) => [...(own === name ? [held] : []), ...all(held, name)])
}

/** What is JSON inside of a text of the attributes, read. */
function unfolded({ attributes }: SavedObject): JsonObject {
  const source = attributes['kibanaSavedObjectMeta']
  return {
    ...attributes,
    ...Object.fromEntries(
      Object.entries(attributes).flatMap(([name, value]) => (name.endsWith('JSON') ? [[name, JSON.parse(value as string)]] : [])),
    ),
    ...(isObject(source) && { source: JSON.parse(source['searchSourceJSON'] as string) }),
  }
}

/** The fields that an object asks for. */
function fieldsIn(object: SavedObject): string[] {
  const whole = unfolded(object)
  const queries = [...all(whole, 'query'), ...all(whole, 'whereQuery')].flatMap(query =>
    typeof query === 'string' ? [query] : isObject(query) && typeof query['query'] === 'string' ? [query['query']] : [],
  )
  const columns = object.type === 'search' ? (whole['columns'] as string[]) : []
  return [
    ...(all(whole, 'sourceField') as string[]).filter(field => field !== '___records___'),
    ...(all(whole, 'sortField') as string[]),
    ...(all(whole, 'term') as string[]),
    ...columns,
    ...queries.flatMap(kqlFields),
  ]
}

t.test('every reference leads to an object in the file, of the type that it says', t => {
  for (const object of objects)
    for (const reference of object.references) t.ok(byKey.has(key(reference)), `${key(object)}: ${reference.name}`)
  t.equal(new Set(objects.map(({ id }) => id)).size, objects.length, 'no id is there twice')
  t.end()
})

t.test('every name that an object refers by has its reference, and the other way round', t => {
  for (const object of objects) {
    const whole = unfolded(object)
    const named = [...all(whole, 'indexPatternRefName'), ...all(whole, 'indexRefName')] as string[]
    const layers = all(whole, 'formBased').flatMap(form => Object.keys((form as { layers: JsonObject }).layers))
    named.push(...layers.map(layer => `indexpattern-datasource-layer-${layer}`))
    if (object.type === 'dashboard')
      for (const { panelIndex, panelRefName } of whole['panelsJSON'] as { panelIndex: string; panelRefName: string }[])
        named.push(`${panelIndex}:${panelRefName}`)
    t.strictSame(named.sort(), object.references.map(({ name }) => name).sort(), key(object))
  }
  t.end()
})

t.test('every field that a panel asks for is one that the templates know', t => {
  let asked = 0
  for (const object of objects.filter(({ type }) => type !== 'dashboard' && type !== 'index-pattern')) {
    const view = object.references.find(({ type }) => type === 'index-pattern')
    const known = fieldsBehind(view?.id ?? '')
    for (const field of fieldsIn(object)) {
      asked++
      t.ok(known(field), `${key(object)}: ${field}`)
    }
  }
  t.ok(asked > 150, `${asked} fields`)
  t.end()
})

t.test('what is counted by its values or summed has a type that can be', t => {
  for (const object of objects.filter(({ type }) => type === 'lens')) {
    const known = fieldsBehind(object.references[0]?.id ?? '')
    for (const column of all(object.attributes, 'columns')
      .filter(isObject)
      .flatMap(columns => Object.values(columns))
      .filter(isObject)) {
      const type = known(column['sourceField'] as string)
      if (column['operationType'] === 'terms') t.notMatch(type, /^(match_only_text|nested|flattened|wildcard)$/, object.id)
      if (column['operationType'] === 'sum' || column['operationType'] === 'max') t.match(type, /^(long|float)$/, object.id)
    }
  }
  t.end()
})

t.test('columns are ordered by a column that is there, and shown ones exist', t => {
  for (const object of objects.filter(({ type }) => type === 'lens')) {
    const [layers] = all(object.attributes, 'layers') as [Record<string, { columns: JsonObject; columnOrder: string[] }>]
    const [layer] = Object.values(layers)
    if (!layer) throw new Error(`${object.id} has no layer`)
    const ids = Object.keys(layer.columns)
    t.strictSame([...layer.columnOrder].sort(), [...ids].sort())
    const { visualization } = object.attributes['state'] as { visualization: JsonObject }
    const shown = [
      ...['xAccessor', 'splitAccessor', 'metricAccessor', 'columnId'].flatMap(name => all(visualization, name)),
      ...['accessors', 'primaryGroups', 'metrics'].flatMap(name => all(visualization, name).flat()),
    ]
    t.strictSame([...new Set(shown)].sort(), [...ids].sort(), `${object.id} shows all of its columns`)
    for (const by of all(layer.columns, 'orderBy')) t.ok(ids.includes((by as { columnId: string }).columnId))
  }
  t.end()
})

t.test('the panels of a dashboard lie side by side, and no two on the same place', t => {
  for (const object of objects.filter(({ type }) => type === 'dashboard')) {
    const taken = new Set<string>()
    for (const {
      gridData: { x, y, w, h },
    } of unfolded(object)['panelsJSON'] as { gridData: Record<'x' | 'y' | 'w' | 'h', number> }[]) {
      t.ok(x >= 0 && x + w <= 48, object.id)
      for (let column = x; column < x + w; column++)
        for (let row = y; row < y + h; row++) {
          t.notOk(taken.has(`${column}/${row}`), object.id)
          taken.add(`${column}/${row}`)
        }
    }
  }
  t.end()
})

t.test('the map joins countries on their ISO code', t => {
  const map = objects.find(({ type }) => type === 'map') as SavedObject
  const [join] = all(unfolded(map), 'joins').flat() as [{ leftField: string; right: JsonObject }]
  t.match(join, { leftField: 'iso2', right: { type: 'ES_TERM_SOURCE', term: 'source.geo.country_iso_code' } })
  const [colour] = all(unfolded(map), 'field') as [{ name: string }]
  t.equal(colour.name, `__kbnjoin__count__${join.right['id']}`)
  t.end()
})

t.test('ids are the ones of the release before: an import takes the place of the earlier one', t => {
  t.strictSame(objects.map(key), IDS)
  t.end()
})

t.test('the file has one object a line, and each comes after what it refers to', t => {
  const lines = toNdjson(objects).trimEnd().split('\n')
  const seen = new Set<string>()
  for (const line of lines) {
    const object = JSON.parse(line) as SavedObject
    for (const reference of object.references) t.ok(seen.has(key(reference)))
    seen.add(key(object))
  }
  t.equal(seen.size, objects.length)
  t.end()
})

/** A Kibana that answers as told, and keeps what it was asked. */
async function kibana(t: Test, answer: (response: ServerResponse) => void) {
  const asked: { url: string; headers: IncomingMessage['headers']; body: string }[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request.setEncoding('utf8')) body += piece
    asked.push({ url: request.url ?? '', headers: request.headers, body })
    answer(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const http = await openHttp({ clock: systemClock })
  t.teardown(async () => {
    await http.close()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/base`
  return {
    asked,
    send: (more: Partial<KibanaTarget> = {}) => importDashboards(http, { url, ...more }, objects, new AbortController().signal),
  }
}

const says = (status: number, body: object) => (response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

t.test('an import is one multipart request with the whole file', async t => {
  const { asked, send } = await kibana(t, says(200, { success: true, successCount: objects.length }))
  t.equal(await send({ space: 'soc team', authorization: 'ApiKey abc' }), objects.length)
  const [{ url, headers, body }] = asked as [(typeof asked)[0]]
  t.equal(url, '/base/s/soc%20team/api/saved_objects/_import?overwrite=true')
  t.match(headers, { 'kbn-xsrf': 'penstock', authorization: 'ApiKey abc' })
  const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(headers['content-type'] ?? '')?.[1]
  const [before, part, after] = body.split(`--${boundary}`)
  t.strictSame([before, after], ['', '--\r\n'])
  const [head, file] = (part as string).split('\r\n\r\n')
  t.match(head, /name="file"; filename="penstock\.ndjson"/)
  t.equal(file, `${toNdjson(objects)}\r\n`)
})

t.test('what Kibana did not take is named; a refusal says what is missing', async t => {
  const errors = [{ id: 'penstock-overview', error: { type: 'missing_references' } }]
  const partly = await kibana(t, says(200, { success: false, successCount: 3, errors }))
  await t.rejects(partly.send(), {
    code: 'PEN_KIBANA',
    message: /imported 3 of \d+ objects, and not penstock-overview \(missing_references\)/,
  })
  const fewer = await kibana(t, says(200, { success: true, successCount: 3 }))
  await t.rejects(fewer.send(), { code: 'PEN_KIBANA', message: /imported 3 of/ })
  const forbidden = await kibana(t, says(403, { message: 'Forbidden' }))
  await t.rejects(forbidden.send(), { code: 'PEN_KIBANA', message: /403: Forbidden.*Saved Objects Management/ })
  const other = await kibana(t, says(200, { hello: 'world' }))
  await t.rejects(other.send(), { code: 'PEN_KIBANA', message: /is no Kibana/ })
})

t.test('credentials go to no address that is not encrypted, nor to one with a user in it', async t => {
  const { asked, send } = await kibana(t, says(200, {}))
  await t.rejects(send({ url: 'http://kibana.example:5601', authorization: 'ApiKey abc' }), { message: /not encrypted/ })
  await t.rejects(send({ url: 'https://a:b@kibana.example' }), { message: /is no address/ })
  await t.rejects(send({ url: 'kibana' }), { message: /is no address/ })
  t.strictSame(asked, [])
})
