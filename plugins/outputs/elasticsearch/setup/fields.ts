// The fields of Penstock's documents and their types in Elasticsearch, from schemas/elasticsearch.
import { isObject, type JsonObject } from '../../../../core/plugin/json.ts'
import ecsTypes from '../../../../schemas/elasticsearch/ecs-types.json' with { type: 'json' }
import written from '../../../../schemas/elasticsearch/fields.json' with { type: 'json' }

/** Characters of a text beyond which it can be read, but not be searched. A term of 32 KiB would make Elasticsearch refuse the document. */
export const IGNORE_ABOVE = 1024

const KEYWORD = { type: 'keyword', ignore_above: IGNORE_ABOVE }
const TEXT = { text: { type: 'match_only_text' } }

/** The words for types in the data, as mapping parameters. */
const TYPES = {
  boolean: { type: 'boolean' },
  date: { type: 'date' },
  double: { type: 'double' },
  flattened: { type: 'flattened', ignore_above: IGNORE_ABOVE },
  float: { type: 'float' },
  geo_point: { type: 'geo_point' },
  integer: { type: 'integer' },
  ip: { type: 'ip' },
  keyword: KEYWORD,
  'keyword+text': { ...KEYWORD, fields: TEXT },
  long: { type: 'long' },
  match_only_text: { type: 'match_only_text' },
  // The root has the values too: queries and charts that know nothing of nested fields find them.
  nested: { type: 'nested', include_in_root: true },
  'not indexed': { type: 'keyword', index: false, doc_values: false },
  scaled_float: { type: 'scaled_float', scaling_factor: 1000 },
  // A data stream needs a time that can be read: such a document is refused, whatever the index says of odd values.
  timestamp: { type: 'date', ignore_malformed: false },
  wildcard: { type: 'wildcard', ignore_above: IGNORE_ABOVE },
  'wildcard+text': { type: 'wildcard', ignore_above: IGNORE_ABOVE, fields: TEXT },
} as const satisfies Readonly<Record<string, JsonObject>>

export type TypeName = keyof typeof TYPES
export type FieldGroup = keyof typeof written

/** Mapping parameters of a type, as a new object. */
export function mappingOf(type: TypeName): JsonObject {
  return structuredClone(TYPES[type])
}

function read(types: Readonly<Record<string, readonly string[]>>): ReadonlyMap<string, TypeName> {
  const found = Object.entries(types).flatMap(([type, names]) => names.map(name => [name, type as TypeName] as const))
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)))
}

const groups: Readonly<Record<FieldGroup, ReadonlyMap<string, TypeName>>> = {
  ecs: read(written.ecs),
  'o365.audit': read(written['o365.audit']),
  'microsoft.online_message_trace': read(written['microsoft.online_message_trace']),
  penstock: read(written.penstock),
}

/** The fields that Penstock writes, by the root that they lie below; `ecs` are those of the Elastic Common Schema. */
export function fieldsOf(group: FieldGroup): ReadonlyMap<string, TypeName> {
  return groups[group]
}

/** What other ECS fields are, where they are no keyword: a filter of the pipeline may write any of them. */
export const otherTypes: ReadonlyMap<TypeName, readonly string[]> = new Map(
  Object.entries(ecsTypes.types).map(([type, names]) => [type as TypeName, names]),
)
/** The version of the list that they are from. */
export const ECS_LIST = ecsTypes.version

/** `properties` of a mapping: `{ 'a.b': keyword }` as `{ a: { properties: { b: … } } }`. */
export function nestProperties(fields: ReadonlyMap<string, TypeName>): JsonObject {
  const root: JsonObject = {}
  for (const [name, type] of fields) {
    const labels = name.split('.')
    const leaf = labels.pop() as string
    let level = root
    for (const label of labels) level = under(under(level, label), 'properties')
    // A nested field has been made by the fields in it.
    level[leaf] = { ...mappingOf(type), ...((level[leaf] as JsonObject | undefined) ?? {}) }
  }
  return root
}

/** The object at `key`, made when it is not there. */
function under(object: JsonObject, key: string): JsonObject {
  const held = object[key]
  if (isObject(held)) return held
  const made: JsonObject = {}
  object[key] = made
  return made
}
