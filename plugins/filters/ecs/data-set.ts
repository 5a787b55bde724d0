// What a data set of the ecs filter is: one file each, in the list of index.ts.
import type { Event } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'

/** Options that data sets share, as they use them. */
export interface Settings {
  /** Names of tenants by their object ids, in small letters. */
  readonly tenants: ReadonlyMap<string, string>
  /** The organisation's own mail domains, in small letters. */
  readonly domains: ReadonlySet<string>
}

export interface DataSet {
  /** True when the record has the shape of this data set. */
  recognises(record: JsonObject): boolean
  /** Puts the document in the place of the event's record. Never throws for missing or odd fields. */
  map(event: Event): void
}

export const ECS_VERSION = '8.11.0'

/** Marks a document whose record has no time: its @timestamp is 1970-01-01, the same whenever it is read, and easy to find. */
export const NO_TIME_TAG = 'no_timestamp'
export const NO_TIME = '1970-01-01T00:00:00.000Z'
