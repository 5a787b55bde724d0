// What a plugin's `create` gets beside its options: the same in the main thread, in a worker and in a dry run.
import { compileExpression } from '../config/expression.ts'
import { siteFiles } from '../config/options-file.ts'
import type { Site } from '../plugin/interfaces.ts'
import type { Tables } from './tables.ts'

interface Step {
  readonly id: string
  readonly folder: string
  /** Not in a worker: nothing of one reads secrets again. */
  readonly secretFiles?: ReadonlyMap<string, string>
}

export function siteOf({ id, folder, secretFiles }: Step, tables: Tables): Site {
  return { id, folder, expression: compileExpression, table: tables.for({ id, folder }), ...siteFiles(secretFiles) }
}
