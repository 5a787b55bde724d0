// The data views that the dashboards look through.
import { DATA_SETS, streamPatterns } from '../setup/templates.ts'
import { type SavedObject, savedObject } from './saved-object.ts'

export interface View {
  readonly id: string
  readonly name: string
  readonly title: string
  /** The names of the data sets of setup/templates.ts that it covers. */
  readonly dataSets: readonly string[]
}

function view(id: string, name: string, ...dataSets: readonly string[]): View {
  const patterns = streamPatterns({})
  const own = DATA_SETS.flatMap((dataSet, index) => (dataSets.includes(dataSet.name) ? [patterns[index] as string] : []))
  return { id: `penstock-${id}`, name: `Penstock: ${name}`, title: own.join(','), dataSets }
}

export const audit = view('audit', 'Microsoft 365 audit', 'o365.audit')
export const messageTrace = view('message-trace', 'message trace', 'microsoft_exchange_online_message_trace.log')
export const own = view('own', 'completeness', 'penstock')
export const all = view('all', 'all that it writes', ...DATA_SETS.map(({ name }) => name))

export const DATA_VIEWS: readonly View[] = [audit, messageTrace, own, all]

export function dataViewObject({ id, name, title }: View): SavedObject {
  return savedObject('index-pattern', id, {
    ...{ name, title, timeFieldName: '@timestamp', allowNoIndex: true },
    ...{ fields: '[]', fieldAttrs: '{}', fieldFormatMap: '{}', runtimeFieldMap: '{}', sourceFilters: '[]', typeMeta: '{}' },
  })
}
