// The rows of one step.
import type { Rows } from '../plugin/interfaces.ts'
import type { Store } from '../state/types.ts'

/** @param scope `pipeline/step` */
export function rowsIn(store: Pick<Store, 'get' | 'list' | 'commit'>, scope: string): Rows {
  return {
    get: key => store.get(scope, key),
    list: (prefix, page) => store.list(scope, prefix, page),
    put: changes => store.commit({ positions: [], rows: changes.map(([key, value]) => [scope, key, value]) }),
  }
}
