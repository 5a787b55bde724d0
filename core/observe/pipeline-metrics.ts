// The conservation counters of pipelines as metrics: per pipeline, per output, per step; they balance at every moment.
import type { PipelineConfig } from '../config/types.ts'
import { STEP_COUNTS } from '../flow/packed.ts'
import type { Figures } from '../flow/pipeline.ts'
import type { Family } from './metrics.ts'

type Value = Family['values'][number]

/** Events: `read + created = dropped + duplicate + unrouted + dead_lettered + routed`; per output `routed = delivered + dead_lettered + in_flight`. */
export function pipelineFamilies(
  pipelines: readonly { readonly config: PipelineConfig; readonly figures: Figures }[],
  now: number,
): Family[] {
  const events: Value[] = []
  const outputs: Value[] = []
  const inFlight: Value[] = []
  const queues = { events: [] as Value[], bytes: [] as Value[], limit: [] as Value[], age: [] as Value[] }
  const steps: Value[] = []
  const conditions: Value[] = []
  const bytes: Value[] = []
  const commits: Value[] = []
  for (const { config, figures } of pipelines) {
    const pipeline = config.name
    const { counts } = figures
    const fates = {
      read: counts.read,
      created: counts.created,
      dropped: counts.dropped,
      duplicate: counts.duplicates,
      unrouted: counts.unrouted,
      dead_lettered: counts.failed,
      routed: counts.routed,
      replayed: counts.replayed,
    }
    for (const [fate, value] of Object.entries(fates)) events.push({ labels: { pipeline, fate }, value })
    for (const { id: step, routed, delivered, deadLettered, retried, inFlight: open, queue } of figures.outputs) {
      const done = { routed, delivered, dead_lettered: deadLettered, retried }
      for (const [fate, value] of Object.entries(done)) outputs.push({ labels: { pipeline, step, fate }, value })
      inFlight.push({ labels: { pipeline, step }, value: open })
      if (!queue) continue
      queues.events.push({ labels: { pipeline, step }, value: queue.events })
      queues.bytes.push({ labels: { pipeline, step }, value: queue.bytes })
      queues.limit.push({ labels: { pipeline, step }, value: queue.maxBytes })
      const age = queue.oldest === undefined ? 0 : Math.max(0, now - queue.oldest) / 1000
      queues.age.push({ labels: { pipeline, step }, value: age })
    }
    const ids = [...config.filters, ...config.outputs].map(({ id }) => id)
    ids.forEach((step, index) => {
      const at = (offset: number) => figures.steps[index * STEP_COUNTS + offset] ?? 0
      if (index < config.filters.length) {
        steps.push({ labels: { pipeline, step, fate: 'taken' }, value: at(0) })
        steps.push({ labels: { pipeline, step, fate: 'dropped' }, value: at(1) })
        steps.push({ labels: { pipeline, step, fate: 'failed' }, value: at(2) })
      }
      conditions.push({ labels: { pipeline, step }, value: at(3) })
    })
    bytes.push({ labels: { pipeline }, value: figures.inFlightBytes })
    commits.push({ labels: { pipeline }, value: figures.commits })
  }
  return [
    { name: 'penstock_events_total', help: 'Events of a pipeline by what became of them', type: 'counter', values: events },
    {
      name: 'penstock_output_events_total',
      help: 'Events of an output by what became of them',
      type: 'counter',
      values: outputs,
    },
    {
      name: 'penstock_output_in_flight',
      help: 'Events that an output has taken and not settled',
      type: 'gauge',
      values: inFlight,
    },
    { name: 'penstock_queue_events', help: 'Events in the disk queue of an output', type: 'gauge', values: queues.events },
    { name: 'penstock_queue_bytes', help: 'Bytes of a disk queue, compressed', type: 'gauge', values: queues.bytes },
    { name: 'penstock_queue_limit_bytes', help: 'Size that a disk queue may have', type: 'gauge', values: queues.limit },
    {
      name: 'penstock_queue_oldest_seconds',
      help: 'Age of the oldest entry of a disk queue; 0 when it is empty',
      type: 'gauge',
      values: queues.age,
    },
    { name: 'penstock_filter_events_total', help: 'Events of a filter by what became of them', type: 'counter', values: steps },
    {
      name: 'penstock_condition_errors_total',
      help: 'Conditions that could not be evaluated, and counted as false',
      type: 'counter',
      values: conditions,
    },
    { name: 'penstock_in_flight_bytes', help: 'Bytes of unsettled work', type: 'gauge', values: bytes },
    { name: 'penstock_commits_total', help: 'Groups of settled chunks that were stored', type: 'counter', values: commits },
  ]
}
