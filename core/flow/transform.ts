// The pure part of a pipeline: decode → filters → routes → encode, for one chunk in one synchronous call. Runs inline or in a worker.
import { compileExpression, type Expression } from '../config/expression.ts'
import type { Plugin, PluginOf } from '../plugin/define.ts'
import { asError, PenstockError, PermanentError } from '../plugin/errors.ts'
import type { Codec, Event, Filter, Output } from '../plugin/interfaces.ts'
import { copyJson, isObject, type JsonObject } from '../plugin/json.ts'
import { ChunkEvent, type EventIds } from './event.ts'
import type { FilterSpec, Job, Packed, StepSpec, TransformSpec } from './packed.ts'
import { Packing } from './packing.ts'
import { siteOf } from './site.ts'
import type { Tables } from './tables.ts'

/** Sees events behind the last filter, with the ids of the outputs that take them and their index in Packed.gated (-1: none). */
export type Trace = (event: Event, outputs: readonly string[], owner: number) => void

/** One chunk's records to what the outputs get of them. Never throws for a record's sake: what fails is among the faults. */
export type Transform = (job: Job) => Packed

/** A filter with its condition, and its index among the pipeline's gates (-1: it has none). */
interface FilterStep {
  readonly id: string
  readonly filter: Filter
  readonly when: Expression | undefined
  readonly gate: number
}
interface OutputStep {
  readonly id: string
  readonly output: Output
  readonly when: Expression | undefined
  readonly onlyUnmatched: boolean
  readonly filters: readonly FilterStep[]
}
type GateKeys = (string | undefined)[] | undefined

/** Builds the transform. `load` gives the plugin of a step. */
export async function buildTransform(
  spec: TransformSpec,
  load: (step: StepSpec) => Promise<Plugin>,
  tables: Tables,
  trace?: Trace,
): Promise<Transform> {
  const create = async <T>(step: StepSpec): Promise<T> => (await load(step)).create(step.options, siteOf(step, tables)) as T
  /** Conditions that could not be evaluated for the event at hand count for the step they belong to. */
  let pack: Packing
  const condition = (text: string | undefined, step: number) =>
    text === undefined || text === 'unmatched' ? undefined : compileExpression(text, undefined, () => pack.conditionFailed(step))

  let gateCount = 0
  const filterStep = async (filterSpec: FilterSpec, step: number): Promise<FilterStep> => {
    const filter = await create<ReturnType<PluginOf<'filter'>['create']>>(filterSpec)
    return { id: filterSpec.id, filter, when: condition(filterSpec.when, step), gate: filter.gate ? gateCount++ : -1 }
  }
  const codecs: Codec[] = []
  for (const input of spec.inputs) codecs.push(await create<Codec>(input.codec))
  const filters: FilterStep[] = []
  for (const filterSpec of spec.filters) filters.push(await filterStep(filterSpec, filters.length))
  const outputs: OutputStep[] = []
  for (const output of spec.outputs) {
    const step = filters.length + outputs.length
    const own: FilterStep[] = []
    for (const filterSpec of output.filters) own.push(await filterStep(filterSpec, step))
    outputs.push({
      id: output.id,
      output: await create<Output>(output),
      when: condition(output.when, step),
      onlyUnmatched: output.when === 'unmatched',
      filters: own,
    })
  }
  const fallback = typeof spec.unmatched === 'number' ? outputs[spec.unmatched] : undefined

  /** Where the event at hand comes from; set for each record. */
  let record = 0
  let replay: number | undefined
  /** Set while the watchdog has to know which step is at work, or what it must keep a record from. */
  let watched: Pick<Job, 'at' | 'culprits'> | undefined

  return job => {
    pack = new Packing(filters.length, outputs.length)
    replay = job.replay
    watched = job.at || job.culprits ? job : undefined
    const codec = codecs[job.input] as Codec
    const input = spec.inputs[job.input] as TransformSpec['inputs'][number]
    let start = 0
    for (record = 0; record < job.count; record++) {
      const end = job.ends[record] as number
      if (job.starts) start = job.starts[record] as number
      decode(job, codec, input, start, end)
      start = end + 1
    }
    return pack.finish()
  }

  function decode(job: Job, codec: Codec, input: TransformSpec['inputs'][number], start: number, end: number): void {
    pack.counts.read++
    let decoded: ReturnType<Codec['decode']>
    try {
      if (watched) reach(0)
      decoded = codec.decode(job.bytes.subarray(start, end), job.meta)
    } catch (error) {
      pack.fault({ record, stage: 'decode', step: input.id, output: -1 }, error)
      return
    }
    if (!isList(decoded))
      filterFrom(new ChunkEvent(decoded, job.meta, job.bytes, start, end, idsOf(job, input, decoded)), 0, undefined, -1)
    else if (decoded.length === 0) pack.counts.dropped++
    else {
      pack.counts.created += decoded.length - 1
      for (const part of new ChunkEvent({}, job.meta, job.bytes, start, end).split(decoded)) filterFrom(part, 0, undefined, -1)
    }
  }

  function idsOf({ ids }: Job, { idField }: TransformSpec['inputs'][number], decoded: JsonObject): EventIds | undefined {
    if (idField === undefined && ids === undefined) return undefined
    const own = idField === undefined ? undefined : decoded[idField]
    return { given: ids?.get(record), own: typeof own === 'string' && own !== '' ? own : undefined }
  }

  /** Takes an event through the filters from `first` on, and to its outputs. `keys` are those of the gates before. */
  function filterFrom(event: ChunkEvent, first: number, keys: GateKeys, whole: number): void {
    for (let index = first; index < filters.length; index++) {
      const step = filters[index] as FilterStep
      try {
        if (watched) reach(1 + index)
        if (step.when && !step.when(event)) continue
        pack.taken(index)
        const result = step.filter.apply ? step.filter.apply(event) : event
        if (result === undefined) {
          pack.dropped(index)
          pack.settle('dropped', keys, whole)
          return
        }
        if (isList(result)) {
          splitAt(index, step, result as readonly ChunkEvent[], keys, whole)
          return
        }
        event = result as ChunkEvent
        keys = judge(step, event, keys)
      } catch (error) {
        failed(event, index, step, error, keys, whole)
        return
      }
    }
    route(event, keys, whole)
  }

  function splitAt(index: number, step: FilterStep, parts: readonly ChunkEvent[], keys: GateKeys, whole: number): void {
    if (parts.length === 0) {
      pack.dropped(index)
      pack.settle('dropped', keys, whole)
      return
    }
    pack.counts.created += parts.length - 1
    const owner = keys || whole >= 0 ? pack.settle('split', keys, whole) : -1
    for (const part of parts) {
      let own: GateKeys
      try {
        own = judge(step, part, undefined)
      } catch (error) {
        failed(part, index, step, error, undefined, owner)
        continue
      }
      filterFrom(part, index + 1, own, owner)
    }
  }

  /** A step begins to work on the record; `step` counts as in Culprit. */
  function reach(step: number): void {
    if (watched?.at) watched.at[0] = step
    const culprit = watched?.culprits?.find(one => one.record === record)
    if (culprit?.step === step) throw new PenstockError(culprit.code, culprit.error)
  }

  /** Adds the key that the step's gate decides on. A replayed event has passed the gates before. */
  function judge(step: FilterStep, event: ChunkEvent, keys: GateKeys): GateKeys {
    if (step.gate < 0 || replay !== undefined) return keys
    const key = step.filter.gate?.key(event)
    if (key === undefined) return keys
    const all = keys ?? []
    all[step.gate] = key
    return all
  }

  function failed(event: ChunkEvent, index: number, step: FilterStep, error: unknown, keys: GateKeys, whole: number): void {
    pack.failed(index)
    const owner = pack.settle('failed', keys, whole)
    pack.fault({ record, stage: 'transform', step: step.id, output: -1, event, owner }, error)
  }

  function route(event: ChunkEvent, keys: GateKeys, whole: number): void {
    const owner = keys || whole >= 0 ? pack.own(keys, whole) : -1
    const names: string[] = []
    let matched = 0
    let taken = 0
    for (let unmatched = 0; unmatched < 2 && matched === 0; unmatched++) {
      for (let index = 0; index < outputs.length; index++) {
        const step = outputs[index] as OutputStep
        if (!takes(step, index, event, unmatched === 1)) continue
        matched++
        if (encode(event, index, step, owner)) taken++
        if (trace) names.push(step.id)
      }
    }
    pack.fate(owner, taken > 0 ? 'routed' : matched > 0 ? 'dropped' : 'unrouted')
    if (trace) trace(event, names, owner)
  }

  /** `unmatched`: no other output has taken the event. A replay goes where the event was refused, whatever the condition says. */
  function takes(step: OutputStep, index: number, event: ChunkEvent, unmatched: boolean): boolean {
    if (replay !== undefined && replay >= 0) return index === replay
    if (unmatched) return step.onlyUnmatched || step === fallback
    return !step.onlyUnmatched && (!step.when || step.when(event))
  }

  /** Encodes the event for an output, after that output's own filters. False: they dropped it. */
  function encode(event: ChunkEvent, index: number, step: OutputStep, owner: number): boolean {
    if (step.filters.length === 0) return encodeOne(event, index, step, owner)
    let events: readonly ChunkEvent[] = []
    // The one at work; none while the event is copied, which can fail for what is nested too deeply.
    let at = ''
    try {
      if (watched) reach(1 + filters.length + index)
      events = [event.copy(copyJson(event.fields))]
      for (const { id, filter, when } of step.filters) {
        at = `${id}: `
        const next: ChunkEvent[] = []
        for (const one of events) {
          if (when && !when(one)) {
            next.push(one)
            continue
          }
          const result = filter.apply?.(one)
          if (result === undefined) continue
          if (isList(result)) next.push(...(result as readonly ChunkEvent[]))
          else next.push(result as ChunkEvent)
        }
        events = next
      }
    } catch (thrown) {
      const cause = new PermanentError(`${at}${asError(thrown).message}`, { cause: thrown })
      pack.outputFault(filters.length + index, { record, stage: 'output', step: step.id, output: index, event, owner }, cause)
      return true
    }
    let any = false
    for (const one of events) any = encodeOne(one, index, step, owner) || any
    if (!any) pack.dropped(filters.length + index)
    return any
  }

  function encodeOne(event: ChunkEvent, index: number, step: OutputStep, owner: number): boolean {
    const writer = pack.writer(index)
    const before = writer.length
    try {
      if (watched) reach(1 + filters.length + index)
      if (!isObject(event.fields)) throw new PermanentError('a filter has put something that is no object in place of the event')
      const address = step.output.encode(event, writer)
      pack.item(index, record, event, address, owner)
    } catch (error) {
      writer.cut(before)
      pack.outputFault(filters.length + index, { record, stage: 'output', step: step.id, output: index, event, owner }, error)
    }
    return true
  }
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value)
}
