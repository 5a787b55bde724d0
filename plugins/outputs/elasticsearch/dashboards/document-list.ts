// A list of documents, newest first: a saved search.
import type { View } from './data-views.ts'
import type { Panel } from './lens.ts'

const INDEX = 'kibanaSavedObjectMeta.searchSourceJSON.index'

/** `only` (KQL) is asked beside the query of the dashboard. */
export function documentList(title: string, view: View, columns: readonly string[], only?: string): Panel {
  return {
    ...{ title, type: 'search' },
    object(query) {
      const asked = [query, only].filter(part => part !== undefined && part !== '')
      const source = {
        ...{ highlightAll: true, version: true, filter: [], indexRefName: INDEX },
        query: { query: asked.length > 1 ? asked.map(part => `(${part})`).join(' and ') : (asked[0] ?? ''), language: 'kuery' },
      }
      return {
        attributes: {
          ...{ title, description: '', columns: [...columns], sort: [['@timestamp', 'desc']], grid: {}, hideChart: true },
          kibanaSavedObjectMeta: { searchSourceJSON: JSON.stringify(source) },
        },
        references: [{ name: INDEX, type: 'index-pattern', id: view.id }],
      }
    },
  }
}
