// Kibana's saved objects, as a file for its import holds them.
import type { JsonObject } from '../../../../core/plugin/json.ts'

export type SavedObjectType = 'index-pattern' | 'lens' | 'map' | 'search' | 'dashboard'

export interface Reference {
  readonly name: string
  readonly type: SavedObjectType
  readonly id: string
}

export interface SavedObject {
  readonly type: SavedObjectType
  /** The same in every version of Penstock: an import takes the place of the one before. */
  readonly id: string
  readonly attributes: JsonObject
  readonly references: readonly Reference[]
  readonly coreMigrationVersion: string
  readonly typeMigrationVersion: string
  readonly managed: boolean
}

/** The forms in which the attributes are written here; a newer Kibana brings them up to its own when it imports them. */
const FORMS: Readonly<Record<SavedObjectType, string>> = {
  'index-pattern': '8.0.0',
  lens: '8.9.0',
  map: '8.4.0',
  search: '8.0.0',
  dashboard: '8.9.0',
}

export function savedObject(
  type: SavedObjectType,
  id: string,
  attributes: JsonObject,
  references: readonly Reference[] = [],
): SavedObject {
  // Not managed: users may change what they have imported.
  return {
    ...{ type, id, attributes, references },
    coreMigrationVersion: '8.8.0',
    typeMigrationVersion: FORMS[type],
    managed: false,
  }
}

/** A part of an id. */
export function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
}

/** The file for Kibana's import: one object a line. */
export function toNdjson(objects: readonly SavedObject[]): string {
  return objects.map(object => `${JSON.stringify(object)}\n`).join('')
}
