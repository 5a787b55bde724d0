// The system under test: a real pipeline of two outputs, a gate between two filters, and inputs that read what the sources keep.

import type { memoryStore } from '../../../core/cli/memory-store.ts'
import type { Pipeline } from '../../../core/flow/pipeline.ts'
import type { Chunk, Codec, Filter, Input, Output } from '../../../core/plugin/interfaces.ts'
import { inProcess } from '../../kit/in-process.ts'
import { type Faults, faultyStore, faultyWrite, type Process } from './faults.ts'
import { gate } from './gate.ts'
import type { Life } from './life.ts'
import { type Limits, letterOrigin, SOURCE } from './outlet.ts'
import { chunkOf, decode, idIn, OUTPUTS, split } from './records.ts'
import type { Reference, SourceChunk } from './reference.ts'

export interface Shape extends Limits {
  readonly inputs: number
  readonly commitInterval: number
  /** Inputs that do not end when they are told to. */
  readonly stuck: boolean
}

export const GRACE_MS = 500

export interface Parts {
  readonly shape: Shape
  readonly reference: Reference
  readonly life: Life
  readonly faults: Faults
  readonly process: Process
  readonly base: ReturnType<typeof memoryStore>
  /** By input: every chunk there ever was. */
  readonly sources: ReadonlyMap<string, readonly SourceChunk[]>
  /** By input: lets its `read` look again. */
  readonly wake: Map<string, () => void>
  /** Inputs that throw as soon as they can. */
  readonly broken: ReadonlySet<string>
  /** Inputs end where their source does. */
  finishing(): boolean
  /** Memory of the pool is in use. */
  took(bytes: Uint8Array): void
  saw(what: string): void
  /** A request to the store has begun, or is over. */
  asked(change: 1 | -1): void
  /** Something failed that must end the pipeline; `soon`: at once. */
  failed(why: string, soon: boolean): void
  closedPipe(): void
}

export function build(parts: Parts): Pipeline {
  const { shape, reference, life, faults, process, base, sources, saw } = parts
  const store = faultyStore(base, faults, process, {
    committed: changes => reference.commit(changes),
    buried(letters) {
      life.letters(letters)
      reference.letters(base.stored)
    },
    removed() {
      reference.letters(base.stored)
      reference.checkAll()
    },
    failed(what, mode) {
      saw(`the ${what} failed: ${mode}`)
      if (what === 'letters' || mode === 'broken') parts.failed(`the ${what} failed`, true)
    },
    open: parts.asked,
  })
  const { pipeline } = inProcess({
    store,
    clock: process.clock,
    codec: codec(life),
    inputs: Object.fromEntries([...sources.keys()].map(id => [id, input(id, parts)])),
    filters: { early: { filter: () => filter('early') }, once: { filter: gate(life) }, late: { filter: () => filter('late') } },
    outputs: Object.fromEntries(
      OUTPUTS.map(id => [
        id,
        {
          output: () => output(id, parts),
          when: `${id} == true`,
          config: {
            batch: { max_events: shape.maxEvents, max_bytes: shape.maxBytes, max_ms: shape.maxMs },
            retry: { min_ms: 4, max_ms: 400 },
            max_tries: shape.maxTries,
          },
        },
      ]),
    ),
    config: {
      in_flight_bytes: shape.cap,
      commit_interval_ms: shape.commitInterval,
      grace_ms: GRACE_MS,
      unmatched: 'drop',
    },
  })
  return pipeline
}

function codec(life: Life): Codec {
  return {
    framer() {
      throw new Error('chunks are handed over whole')
    },
    decode(record, { replay }) {
      const text = Buffer.from(record).toString('utf8')
      const id = idIn(text)
      if (replay !== undefined) life.replayed((replay as { id: number }).id)
      else life.entered(id)
      return decode(text)
    },
  }
}

function filter(stage: 'early' | 'late'): Filter {
  return {
    apply(event) {
      switch (event.fields['kind']) {
        case `${stage} drop`:
          return undefined
        case `${stage} fail`:
          throw new Error('bad')
        case `${stage} split`:
          return event.split(split(event.fields))
        default:
          return event
      }
    },
  }
}

function output(id: string, { shape, reference, life, faults, process, saw, closedPipe }: Parts): Output {
  const outlet = life.outlet(id)
  return {
    concurrency: shape.concurrency,
    encode(event, to) {
      const before = to.length
      to.json({ id: event.id, ...event.fields })
      if (id === OUTPUTS[0] && event.fields['kind'] === 'unencodable') throw new Error('cannot be encoded')
      const replay = event.meta['replay'] as { id: number; only: string | null } | undefined
      if (replay?.only && replay.only !== id) reference.wrong.push(`a dead letter of ${replay.only} was replayed to ${id}`)
      if (!replay) life.encoded(event.id, to.length - before)
      return { to: replay ? letterOrigin(replay.id) : SOURCE }
    },
    write: faultyWrite(id, faults, process, {
      offered(items, aborted) {
        if (aborted) reference.wrong.push(`${id} was offered items when it had been told to give up`)
        life.due(id, items)
        outlet.offer(items)
      },
      threw(items, how, after) {
        saw(`a write threw: ${how}`)
        if (how === 'broken pipe') closedPipe()
        outlet.threw(items, after)
      },
      tooLarge: items => outlet.tooLarge(items),
      answered(items, refused) {
        outlet.answered(items, refused)
        life.delivered(
          id,
          items.filter((_, index) => !refused.has(index)),
        )
      },
    }),
  }
}

function input(id: string, parts: Parts): Input {
  const { reference, life, sources, wake, broken, finishing, failed, took, shape } = parts
  const names = () => [...reference.partitions.keys()].filter(name => name.startsWith(`${id}/`))
  const chunks = sources.get(id) ?? []
  let closed = false
  return {
    async *read(positions, signal) {
      const resume = new Map(names().map(name => [name, reference.resume(name)]))
      for (const name of names()) {
        const position = positions.get(name.slice(id.length + 1))
        const stored = reference.position(name)
        if (position !== stored) reference.wrong.push(`${name} is read from ${position}, not from ${stored}`)
      }
      for (let next = 0; ; ) {
        const chunk = chunks[next]
        if (signal.aborted && !shape.stuck) return
        if (broken.has(id)) {
          // It is seen when what was read before has found room.
          failed('an input is broken', false)
          throw new Error('the cable was cut')
        }
        if (chunk) {
          next++
          if (chunk.seq < (resume.get(`${id}/${chunk.partition}`) ?? 0)) continue
          const given = asChunk(chunk)
          took(given.bytes)
          life.given(chunk)
          yield given
        } else if (finishing()) return
        else {
          await new Promise<void>(resolve => {
            wake.set(id, resolve)
            signal.addEventListener('abort', () => resolve(), { once: true })
          })
        }
      }
    },
    settled(partition, position, last) {
      const name = `${id}/${partition}`
      const chunk = reference.lastCommitted(name)
      if (chunk?.last !== last || (chunk.positioned ? chunk.seq : undefined) !== position)
        reference.wrong.push(`${name}: settled was called with ${position}, ${last}, which was not stored last`)
      if (closed) reference.wrong.push(`${name}: settled was called after close`)
    },
    close() {
      closed = true
    },
  }
}

/** A chunk as its input hands it over: the row says in the store that this very chunk is settled. */
function asChunk({ partition, seq, last, positioned, records }: SourceChunk): Chunk {
  return chunkOf(records, {
    partition,
    rows: [[`${partition}/${seq}`, 1]],
    ...(positioned && { position: seq }),
    ...(last && { last }),
  })
}
