// Charts of Kibana's Lens, from what they show.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { type FieldGroup, fieldsOf } from '../setup/fields.ts'
import type { View } from './data-views.ts'
import type { Reference, SavedObjectType } from './saved-object.ts'

/** A part of a dashboard: a saved object without its id. */
export interface Panel {
  readonly title: string
  readonly type: Exclude<SavedObjectType, 'dashboard' | 'index-pattern'>
  /** `query` is the one of the dashboard (KQL). */
  object(query: string): { readonly attributes: JsonObject; readonly references: readonly Reference[] }
}

/** A number for each bucket. */
export interface Measure {
  readonly label: string
  readonly column: JsonObject
}
/** What divides the documents. */
export interface Bucket {
  readonly label: string
  column(orderBy: string): JsonObject
}

/** `only` (KQL) counts a part of the documents. */
export function count(label: string, only?: string): Measure {
  return measure(label, 'count', '___records___', 'number', { params: { emptyAsNull: true } }, only)
}

/** How many different values. */
export function unique(field: string, label: string, only?: string): Measure {
  return measure(label, 'unique_count', field, 'number', { params: { emptyAsNull: true } }, only)
}

export function sum(field: string, label: string, only?: string): Measure {
  return measure(label, 'sum', field, 'number', { params: { emptyAsNull: true } }, only)
}

export function largest(field: string, label: string): Measure {
  return measure(label, 'max', field, 'number', { params: { emptyAsNull: true } })
}

/** The value in the newest document that has one. */
export function newest(field: string, label: string): Measure {
  const params = { sortField: '@timestamp', showArrayValues: false }
  return measure(label, 'last_value', field, dataType(field), { params, scale: 'ordinal' }, `${field}: *`)
}

function measure(
  label: string,
  operationType: string,
  sourceField: string,
  type: string,
  more: JsonObject,
  only?: string,
): Measure {
  const column = {
    ...{ label, dataType: type, operationType, isBucketed: false, scale: 'ratio', sourceField, customLabel: true },
    ...more,
    ...(only !== undefined && { filter: { query: only, language: 'kuery' } }),
  }
  return { label, column }
}

/** Intervals of the chosen time. */
export function time(): Bucket {
  return {
    label: '@timestamp',
    column: () => ({
      ...{ label: '@timestamp', dataType: 'date', operationType: 'date_histogram', sourceField: '@timestamp', isBucketed: true },
      ...{ scale: 'interval', params: { interval: 'auto', includeEmptyRows: true, dropPartials: false } },
    }),
  }
}

/** The most frequent values; `others` adds up the rest. */
export function top(field: string, label: string, size = 10, others = false): Bucket {
  return {
    label,
    column: orderBy => ({
      ...{ label, dataType: dataType(field), operationType: 'terms', scale: 'ordinal', sourceField: field, isBucketed: true },
      customLabel: true,
      params: {
        ...{ size, orderBy: { type: 'column', columnId: orderBy }, orderDirection: 'desc', otherBucket: others },
        ...{ missingBucket: false, parentFormat: { id: 'terms' }, include: [], exclude: [] },
      },
    }),
  }
}

/** One number. */
export function metric(title: string, view: View, value: Measure): Panel {
  return lens(title, view, 'lnsMetric', [], [value], (_, [metricAccessor]) => ({
    ...{ layerId: LAYER, layerType: 'data', metricAccessor },
  }))
}

/** Bars or lines over time, or over the most frequent values; `split` gives each of its values a colour. */
export function series(
  title: string,
  view: View,
  {
    as = 'bar_stacked',
    over = time(),
    split,
    values,
  }: { as?: 'bar_stacked' | 'bar_horizontal' | 'line'; over?: Bucket; split?: Bucket; values: readonly Measure[] },
): Panel {
  const buckets = split ? [split, over] : [over]
  return lens(title, view, 'lnsXY', buckets, values, (bucketIds, accessors) => ({
    ...{
      legend: { isVisible: true, position: 'right' },
      valueLabels: 'hide',
      fittingFunction: as === 'line' ? 'Linear' : 'None',
    },
    axisTitlesVisibilitySettings: { x: false, yLeft: false, yRight: false },
    preferredSeriesType: as,
    layers: [
      {
        ...{ layerId: LAYER, layerType: 'data', seriesType: as, accessors, xAccessor: bucketIds.at(-1) },
        ...(split && { splitAccessor: bucketIds[0] }),
      },
    ],
  }))
}

/** Shares of a whole. */
export function donut(title: string, view: View, by: Bucket, value: Measure): Panel {
  return lens(title, view, 'lnsPie', [by], [value], (primaryGroups, metrics) => ({
    shape: 'donut',
    layers: [
      {
        ...{ layerId: LAYER, layerType: 'data', primaryGroups, metrics, numberDisplay: 'percent', categoryDisplay: 'default' },
        ...{ legendDisplay: 'default', nestedLegend: false },
      },
    ],
  }))
}

export function table(title: string, view: View, by: readonly Bucket[], values: readonly Measure[]): Panel {
  return lens(title, view, 'lnsDatatable', by, values, (bucketIds, valueIds) => ({
    ...{ layerId: LAYER, layerType: 'data', paging: { size: 10, enabled: true } },
    columns: [...bucketIds, ...valueIds].map(columnId => ({ columnId })),
  }))
}

const LAYER = 'layer'

function lens(
  title: string,
  view: View,
  visualizationType: string,
  buckets: readonly Bucket[],
  values: readonly Measure[],
  visualization: (bucketIds: readonly string[], valueIds: readonly string[]) => JsonObject,
): Panel {
  const bucketIds = buckets.map((_, index) => `bucket-${index}`)
  const valueIds = values.map((_, index) => `value-${index}`)
  const columns: JsonObject = {}
  for (const [index, bucket] of buckets.entries()) columns[bucketIds[index] as string] = bucket.column(valueIds[0] as string)
  for (const [index, value] of values.entries()) columns[valueIds[index] as string] = value.column
  return {
    ...{ title, type: 'lens' },
    object: query => ({
      attributes: {
        ...{ title, description: '', visualizationType },
        state: {
          datasourceStates: {
            formBased: { layers: { [LAYER]: { columns, columnOrder: [...bucketIds, ...valueIds], incompleteColumns: {} } } },
          },
          visualization: visualization(bucketIds, valueIds),
          ...{ query: { query, language: 'kuery' }, filters: [], internalReferences: [], adHocDataViews: {} },
        },
      },
      references: [{ type: 'index-pattern', id: view.id, name: `indexpattern-datasource-layer-${LAYER}` }],
    }),
  }
}

const GROUPS: readonly FieldGroup[] = ['ecs', 'o365.audit', 'microsoft.online_message_trace', 'penstock']

/** Lens's word for the type of a field. */
function dataType(field: string): 'string' | 'number' | 'date' | 'ip' | 'boolean' {
  const type = GROUPS.map(group => fieldsOf(group).get(field)).find(found => found !== undefined)
  switch (type) {
    case 'long':
    case 'integer':
    case 'float':
    case 'double':
      return 'number'
    case 'date':
    case 'timestamp':
      return 'date'
    case 'ip':
    case 'boolean':
      return type
    default:
      return 'string'
  }
}
