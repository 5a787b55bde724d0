// A map that colours countries by how many documents come from each.
import type { View } from './data-views.ts'
import type { Panel } from './lens.ts'

/** Joins `field`, a country's ISO code of two letters, with the countries of Elastic's map service. */
export function countryMap(title: string, view: View, field: string, counted: string): Panel {
  const join = `penstock-${view.id}-by-country`
  const reference = 'layer_1_join_0_index_pattern'
  const layers = (query: string) => [
    {
      ...{ id: 'roads', type: 'EMS_VECTOR_TILE', label: null, visible: true, alpha: 1, minZoom: 0, maxZoom: 24 },
      ...{ sourceDescriptor: { type: 'EMS_TMS', isAutoSelect: true }, style: { type: 'EMS_VECTOR_TILE', color: '' }, joins: [] },
    },
    {
      ...{ id: 'countries', type: 'GEOJSON_VECTOR', label: counted, visible: true, alpha: 0.75, minZoom: 0, maxZoom: 24 },
      sourceDescriptor: { id: 'world_countries', type: 'EMS_FILE', tooltipProperties: ['name', 'iso2'] },
      joins: [
        {
          leftField: 'iso2',
          right: {
            ...{ type: 'ES_TERM_SOURCE', id: join, indexPatternRefName: reference, term: field },
            ...{ metrics: [{ type: 'count', label: counted }], whereQuery: { query, language: 'kuery' } },
            ...{ applyGlobalQuery: true, applyGlobalTime: true, applyForceRefresh: true },
          },
        },
      ],
      style: {
        type: 'VECTOR',
        isTimeAware: true,
        properties: {
          fillColor: {
            type: 'DYNAMIC',
            options: {
              ...{ color: 'Yellow to Red', colorCategory: 'palette_0', type: 'ORDINAL' },
              ...{
                field: { name: `__kbnjoin__count__${join}`, origin: 'join' },
                fieldMetaOptions: { isEnabled: true, sigma: 3 },
              },
            },
          },
          lineColor: { type: 'STATIC', options: { color: '#3d3d3d' } },
          lineWidth: { type: 'STATIC', options: { size: 1 } },
        },
      },
    },
  ]
  const state = {
    ...{ zoom: 1.5, center: { lon: 10, lat: 25 }, timeFilters: { from: 'now-7d', to: 'now' }, filters: [] },
    ...{ refreshConfig: { isPaused: true, interval: 0 }, query: { query: '', language: 'kuery' } },
  }
  return {
    ...{ title, type: 'map' },
    object: query => ({
      attributes: {
        ...{ title, description: '' },
        ...{ layerListJSON: JSON.stringify(layers(query)), mapStateJSON: JSON.stringify(state) },
        uiStateJSON: JSON.stringify({ isLayerTOCOpen: true, openTOCDetails: [] }),
      },
      references: [{ name: reference, type: 'index-pattern', id: view.id }],
    }),
  }
}
