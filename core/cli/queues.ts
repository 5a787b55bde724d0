// Disk queues as commands show them: what lies in each, and which of them nobody empties.
import type { PipelineConfig } from '../config/types.ts'
import { visible } from '../observe/text.ts'
import type { QueueInfo } from '../state/types.ts'
import { commandName, number } from './terminal.ts'

/** Queues with events that none of these pipelines has an output for: each with the pipeline's name and a sentence. */
export function leftBehind(queues: readonly QueueInfo[], configs: readonly PipelineConfig[]): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = []
  for (const { pipeline, output, events, why } of queues) {
    const config = configs.find(({ name }) => name === pipeline)
    const own = config?.outputs.find(({ id }) => id === output)
    // A damaged one is refused when its output opens it.
    if (own?.queue || (events === 0 && why === undefined)) continue
    const what = why === undefined ? `${number(events)} event${events === 1 ? '' : 's'} that were not delivered` : visible(why)
    const missing = own ? 'has no disk queue any more' : config ? 'is not in the pipeline any more' : 'is not in this run'
    const remedy = `run it with queue: { type: disk } to deliver them, or forget them with ${commandName()} state reset ${pipeline} --step ${output}`
    found.push([
      pipeline,
      `the disk queue of output ${output} of pipeline ${pipeline}, which ${missing}, holds ${what}: ${remedy}`,
    ])
  }
  return found
}
