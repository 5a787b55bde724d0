// What a plugin's `create` gets beside its options: the same in the main thread, in a worker and in a dry run.
import { compileExpression } from '../config/expression.ts'
import type { Site } from '../plugin/interfaces.ts'
import type { Tables } from './tables.ts'

export function siteOf({ id, folder }: { readonly id: string; readonly folder: string }, tables: Tables): Site {
  return { id, folder, expression: compileExpression, table: tables.for({ id, folder }) }
}
