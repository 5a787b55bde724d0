// Puts panels on a dashboard.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import type { Panel } from './lens.ts'
import { type Reference, type SavedObject, savedObject, slug } from './saved-object.ts'

export interface Dashboard {
  /** Part of the ids: never to be changed. */
  readonly id: string
  readonly title: string
  readonly description: string
  /** KQL that holds for all of its panels. */
  readonly query: string
  /** From the top down; the panels of a row are of the same width. */
  readonly rows: readonly { readonly height: number; readonly panels: readonly Panel[] }[]
}

/** Columns of Kibana's grid. */
const WIDTH = 48
const FORM = '8.9.0'

/** The dashboard and its panels; they are objects of their own, which users may put on their own dashboards. */
export function dashboardObjects({ id, title, description, query, rows }: Dashboard): SavedObject[] {
  const objects: SavedObject[] = []
  const panels: JsonObject[] = []
  const references: Reference[] = []
  let y = 0
  for (const { height: h, panels: row } of rows) {
    const w = Math.floor(WIDTH / row.length)
    row.forEach((panel, index) => {
      const name = slug(panel.title)
      const object = panel.object(query)
      const made = savedObject(
        panel.type,
        `penstock-${id}-${name}`,
        { ...object.attributes, title: `[Penstock] ${title}: ${panel.title}` },
        object.references,
      )
      objects.push(made)
      panels.push({
        ...{ version: FORM, type: panel.type, panelIndex: name, gridData: { x: index * w, y, w, h, i: name } },
        ...{ embeddableConfig: {}, title: panel.title, panelRefName: `panel_${name}` },
      })
      references.push({ name: `${name}:panel_${name}`, type: panel.type, id: made.id })
    })
    y += h
  }
  const options = { useMargins: true, syncColors: false, syncCursor: true, syncTooltips: false, hidePanelTitles: false }
  const attributes = {
    ...{ title: `[Penstock] ${title}`, description, version: 1 },
    ...{ timeRestore: true, timeFrom: 'now-7d/d', timeTo: 'now' },
    ...{ panelsJSON: JSON.stringify(panels), optionsJSON: JSON.stringify(options) },
    kibanaSavedObjectMeta: {
      searchSourceJSON: JSON.stringify({ query: { query: '', language: 'kuery' }, filter: [] }),
    },
  }
  return [...objects, savedObject('dashboard', `penstock-${id}`, attributes, references)]
}
