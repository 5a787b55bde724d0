// The component and index templates for what Penstock writes to Elasticsearch.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { ECS_LIST, type FieldGroup, fieldsOf, mappingOf, nestProperties, otherTypes } from './fields.ts'

/** Elastic's integrations have 200, its own templates for logs 100. */
export const PRIORITY = 500
/** Raised with every change of what is installed: shown in Kibana. */
export const TEMPLATE_VERSION = 1
export const MANAGED_BY = 'penstock'

/** Fields of an index: about 700 are known; what records have beyond this is kept, but cannot be searched. */
const MOST_FIELDS = 3000

/** A family of data streams. */
export interface DataSet {
  /** The part of the index template's name behind `penstock-logs-`. */
  readonly name: string
  /** `event.dataset` of its events, `*` allowed. */
  readonly dataset: string
  /** What it has beyond ECS. */
  readonly fields?: Exclude<FieldGroup, 'ecs'>
}

/** Those that Penstock's filters and inputs make. */
export const DATA_SETS: readonly DataSet[] = [
  { name: 'o365.audit', dataset: 'o365.audit', fields: 'o365.audit' },
  {
    name: 'microsoft_exchange_online_message_trace.log',
    dataset: 'microsoft_exchange_online_message_trace.log',
    fields: 'microsoft.online_message_trace',
  },
  { name: 'penstock', dataset: 'penstock.*', fields: 'penstock' },
]

export interface TemplateOptions {
  /** Above all other templates that match. Default: 500. */
  readonly priority?: number
  /** The last part of the data streams' names, `*` allowed. Default: `*`. */
  readonly namespace?: string
  /** Data sets of one's own: their data streams get the types of ECS. */
  readonly datasets?: readonly string[]
  /** Patterns of other data streams, such as `audit-*`: a template with all fields. */
  readonly streams?: readonly string[]
  /** The same for indices that are no data streams. */
  readonly indices?: readonly string[]
  /** Data stream lifecycle: how long documents are kept, such as `90d`. Default: for ever. */
  readonly retention?: string
  /** Index lifecycle management in its place: the name of the policy. */
  readonly ilmPolicy?: string
  /** Default: what the cluster does with logs. */
  readonly indexMode?: 'standard' | 'logsdb'
  /** Elasticsearch keeps what it refuses. Default: false, and Penstock makes it a dead letter. */
  readonly failureStore?: boolean
}

export interface Template {
  readonly kind: 'component template' | 'index template'
  readonly name: string
  readonly body: JsonObject
}

/** The patterns of the data streams that are written to. */
export function streamPatterns({ namespace = '*', datasets = [], streams = [] }: TemplateOptions): string[] {
  return [...[...DATA_SETS.map(({ dataset }) => dataset), ...datasets].map(dataset => `logs-${dataset}-${namespace}`), ...streams]
}

/** All templates, in the order in which they must be installed. */
export function templatesFor(options: TemplateOptions = {}): Template[] {
  const own = (options.datasets ?? []).map(dataset => ({ name: dataset, dataset }))
  return [
    component('settings', 'Settings of the indices that Penstock writes to', { settings: { index: settings(options) } }),
    component('ecs', `Fields of the Elastic Common Schema (list of version ${ECS_LIST})`, { mappings: ecsMappings() }),
    ...DATA_SETS.flatMap(({ name, fields }) =>
      fields ? [component(name, `Fields below ${fields}`, { mappings: ownMappings(fields) })] : [],
    ),
    ...[...DATA_SETS, ...own].map(dataSet => streamTemplate(dataSet, options)),
    ...(options.streams ?? []).map(pattern => otherTemplate('stream', pattern, options)),
    ...(options.indices ?? []).map(pattern => otherTemplate('index', pattern, options)),
  ]
}

function component(name: string, description: string, template: JsonObject): Template {
  return {
    kind: 'component template',
    name: `penstock-${name}`,
    body: { template, version: TEMPLATE_VERSION, _meta: meta(description) },
  }
}

function meta(description: string): JsonObject {
  return { managed_by: MANAGED_BY, description }
}

function settings({ ilmPolicy, indexMode }: TemplateOptions): JsonObject {
  return {
    codec: 'best_compression',
    ...(indexMode !== undefined && { mode: indexMode }),
    ...(ilmPolicy !== undefined && { lifecycle: { name: ilmPolicy } }),
    mapping: {
      // An address that is none, a number that is text: the document is kept, and the field's name stands in _ignored.
      ignore_malformed: 'true',
      total_fields: { limit: String(MOST_FIELDS), ignore_dynamic_beyond_limit: 'true' },
    },
  }
}

const SCALARS = ['string', 'long', 'double', 'boolean', 'date']

function ecsMappings(): JsonObject {
  return {
    // A text that looks like a time in one record would refuse the next one, which has another.
    date_detection: false,
    dynamic_templates: [
      ...[...otherTypes].map(([type, paths]) => ({
        [`ecs_${type}`]: { path_match: [...paths], match_mapping_type: matches(type), mapping: mappingOf(type) },
      })),
      {
        ecs_labels: {
          path_match: ['labels.*', 'container.labels.*'],
          match_mapping_type: SCALARS,
          mapping: mappingOf('keyword'),
        },
      },
      { strings: { match_mapping_type: 'string', mapping: mappingOf('keyword') } },
    ],
    properties: {
      ...nestProperties(fieldsOf('ecs')),
      data_stream: {
        properties: Object.fromEntries(['dataset', 'namespace', 'type'].map(name => [name, { type: 'constant_keyword' }])),
      },
    },
  }
}

/** What of a document can become a field of the type. */
function matches(type: string): string | string[] {
  if (type === 'nested' || type === 'flattened') return 'object'
  return type === 'geo_point' ? ['object', 'string'] : SCALARS
}

/**
 * One of Microsoft's records, as its service wrote it. Without sub-objects an index can hold a field that is text in one record and an
 * object in another; and since all that is not known is a keyword, no value is refused.
 */
function ownMappings(root: Exclude<FieldGroup, 'ecs'>): JsonObject {
  const labels = root.split('.')
  const below = root.length + 1
  const known = [...fieldsOf(root)].map(([name, type]) => [name.slice(below), mappingOf(type)])
  let held: JsonObject = { subobjects: false, properties: Object.fromEntries(known) }
  for (let i = labels.length - 1; i > 0; i--) held = { properties: { [labels[i] as string]: held } }
  return {
    dynamic_templates: [
      {
        [`${labels.join('_')}_values`]: { path_match: `${root}.*`, match_mapping_type: SCALARS, mapping: mappingOf('keyword') },
      },
    ],
    properties: { [labels[0] as string]: held },
  }
}

function streamTemplate(dataSet: DataSet, options: TemplateOptions): Template {
  const { name, dataset, fields } = dataSet
  const { namespace = '*', priority = PRIORITY } = options
  return {
    kind: 'index template',
    name: `penstock-logs-${name}`,
    body: {
      index_patterns: [`logs-${dataset}-${namespace}`],
      data_stream: {},
      priority,
      ...composedOf(fields ? [name] : [], [`penstock-logs-${name}@custom`]),
      template: {
        // A data set by name is the same in all documents: it can be searched for, and costs nothing.
        mappings: {
          properties: {
            data_stream: {
              properties: {
                type: { type: 'constant_keyword', value: 'logs' },
                ...(!dataset.includes('*') && { dataset: { type: 'constant_keyword', value: dataset } }),
              },
            },
          },
        },
        ...streamSettings(options),
      },
      version: TEMPLATE_VERSION,
      _meta: meta(`Data streams of ${dataset}, written by Penstock`),
    },
  }
}

/** What only data streams have. */
function streamSettings({ ilmPolicy, retention, failureStore = false }: TemplateOptions): JsonObject {
  return {
    ...(ilmPolicy === undefined && {
      lifecycle: { enabled: true, ...(retention !== undefined && { data_retention: retention }) },
    }),
    data_stream_options: { failure_store: { enabled: failureStore } },
  }
}

/** For a name of the user's own: whatever the events are, their fields have a type. One template a name: other pipelines have theirs. */
function otherTemplate(kind: 'stream' | 'index', pattern: string, options: TemplateOptions): Template {
  const name = `penstock-${kind}-${pattern.replaceAll('*', 'any')}`
  const sets = DATA_SETS.flatMap(({ name, fields }) => (fields ? [name] : []))
  const body = {
    index_patterns: [pattern],
    ...(kind === 'stream' && { data_stream: {}, template: streamSettings(options) }),
    priority: options.priority ?? PRIORITY,
    ...composedOf(sets, [`${name}@custom`]),
    version: TEMPLATE_VERSION,
    _meta: meta(`${pattern}, written by Penstock`),
  }
  return { kind: 'index template', name, body }
}

/** Templates named `…@custom` are the user's own: setup never touches them, and they may be missing. */
function composedOf(names: readonly string[], custom: readonly string[]): JsonObject {
  const all = ['penstock@custom', ...custom]
  return {
    composed_of: ['penstock-settings', 'penstock-ecs', ...names.map(name => `penstock-${name}`), ...all],
    ignore_missing_component_templates: all,
  }
}
