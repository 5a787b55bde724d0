// The index lifecycle policy, for clusters that have index lifecycle management rather than data stream lifecycles.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { MANAGED_BY } from './templates.ts'

/** Rolls over each month, or at 50 GB a shard; deletes `retention` after that, or never. */
export function ilmPolicy(retention: string | undefined): JsonObject {
  return {
    policy: {
      _meta: { managed_by: MANAGED_BY, description: 'Lifecycle of what Penstock writes' },
      phases: {
        hot: { actions: { rollover: { max_age: '30d', max_primary_shard_size: '50gb' } } },
        ...(retention !== undefined && { delete: { min_age: retention, actions: { delete: {} } } }),
      },
    },
  }
}
