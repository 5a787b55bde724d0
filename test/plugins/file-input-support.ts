// Drives the file input as the engine does, and keeps what came of it: records, chunks, positions, health.
import type { Test } from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import type { PluginOf } from '../../core/plugin/define.ts'
import type { Chunk, Clock, Codec, Context, Fault, Summary } from '../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import ndjson from '../../plugins/codecs/ndjson.ts'
import plugin from '../../plugins/inputs/file/index.ts'

/** The real clock, which can be set forward. */
export interface TestClock extends Clock {
  skip(ms: number): void
}

export function testClock(): TestClock {
  let ahead = 0
  const timers = new Map<() => void, { due: number; cancel: () => void }>()
  const clock: TestClock = {
    now: () => Date.now() + ahead,
    monotonic: () => performance.now() + ahead,
    after(ms, fn) {
      const fire = () => {
        clearTimeout(timer)
        if (timers.delete(fire)) fn()
      }
      const timer = setTimeout(fire, ms)
      const cancel = () => {
        clearTimeout(timer)
        timers.delete(fire)
      }
      timers.set(fire, { due: clock.monotonic() + ms, cancel })
      return cancel
    },
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        const abort = () => {
          cancel()
          reject(new DOMException('aborted', 'AbortError'))
        }
        if (signal?.aborted) return reject(new DOMException('aborted', 'AbortError'))
        const cancel = clock.after(ms, () => {
          signal?.removeEventListener('abort', abort)
          resolve()
        })
        signal?.addEventListener('abort', abort, { once: true })
      })
    },
    skip(ms) {
      ahead += ms
      for (const [fire, { due }] of [...timers]) if (due <= clock.monotonic()) fire()
    },
  }
  return clock
}

/** Positions as the store keeps them. */
export type Stored = Map<string, Json>

/** Stores what a settled chunk says. */
export function settle(stored: Stored, { partition = '', position, last }: Chunk): void {
  if (last) stored.delete(partition)
  else if (position !== undefined) stored.set(partition, JSON.parse(JSON.stringify(position)))
}

export function recordsOf({ bytes, ends, starts, count = ends.length }: Chunk): string[] {
  const records: string[] = []
  let start = 0
  for (let i = 0; i < count; i++) {
    if (starts) start = starts[i] as number
    records.push(Buffer.from(bytes.subarray(start, ends[i])).toString())
    start = (ends[i] as number) + 1
  }
  return records
}

export interface Run {
  readonly chunks: Chunk[]
  readonly records: string[]
  readonly faults: Fault[]
  readonly stored: Stored
  readonly health: (readonly [status: string, why: string | undefined])[]
  readonly logs: string[]
  readonly clock: TestClock
  /** Resolves when it is true after a chunk, a log line or a change of health; rejects when the input ends before. */
  until(what: (run: Run) => boolean): Promise<void>
  /** Resolves when the input has ended by itself. */
  end(): Promise<void>
  /** Aborts, and resolves when the input has returned. */
  stop(): Promise<void>
  summary(): JsonObject
}

export interface RunOptions {
  readonly stored?: Stored
  readonly codec?: Codec
  readonly clock?: TestClock
  readonly maxEventBytes?: number
  /** Called with each chunk before the next one is asked for. */
  readonly onChunk?: (chunk: Chunk, index: number) => void | Promise<void>
}

/** The ndjson codec. */
export const lines = ndjson.create({ invalid_utf8: 'dead_letter' }, {} as never)

/** Starts the input; settles each chunk as it comes. */
export async function start(t: Test, folder: string, options: JsonObject, given: RunOptions = {}): Promise<Run> {
  const { stored = new Map(), codec = lines, clock = testClock(), maxEventBytes = 1 << 20, onChunk } = given
  const input = (plugin as PluginOf<'input'>).create(await completeOptions(plugin, options, folder), {
    id: 'in',
    folder,
  } as never)
  const abort = new AbortController()
  let check = () => {}
  const logs: string[] = []
  const log = (fields: JsonObject, message: string) => {
    logs.push(`${message} ${JSON.stringify(fields)}`)
    check()
  }
  const health: (readonly [string, string | undefined])[] = []
  const context = {
    id: 'in',
    log: { debug: log, info: log, warn: log, error: log },
    metrics: { count() {}, gauge() {} },
    clock,
    health(status: string, why?: string) {
      health.push([status, why])
      check()
    },
    codec,
    maxEventBytes,
  } as unknown as Context
  await input.open?.(context)

  let over = false
  let failure: unknown
  const chunks: Chunk[] = []
  const records: string[] = []
  const faults: Fault[] = []
  const pump = async () => {
    try {
      const before = new Map(stored)
      const positions = { get: (partition: string) => before.get(partition), partitions: () => before.keys() }
      for await (const chunk of input.read(positions, abort.signal)) {
        chunks.push(chunk)
        records.push(...recordsOf(chunk))
        faults.push(...(chunk.faults ?? []))
        settle(stored, chunk)
        await onChunk?.(chunk, chunks.length - 1)
        check()
      }
    } catch (error) {
      if ((error as Error).name !== 'AbortError') failure = error
    }
    over = true
    check()
  }
  const pumped = pump()
  const run: Run = {
    chunks,
    records,
    faults,
    stored,
    health,
    logs,
    clock,
    until: what =>
      new Promise((resolve, reject) => {
        check = () => {
          if (what(run)) resolve()
          else if (over) reject(failure ?? new Error(`the input ended with ${records.length} records`))
        }
        check()
      }),
    async end() {
      await pumped
      if (failure) throw failure
    },
    async stop() {
      abort.abort()
      await pumped
      if (failure) throw failure
    },
    summary: () => Object.fromEntries((input.summary?.() as Summary | undefined)?.rows ?? []),
  }
  t.teardown(() => run.stop().catch(() => {}))
  return run
}

/** Reads to the end. */
export async function readAll(t: Test, folder: string, options: JsonObject, given: RunOptions = {}): Promise<Run> {
  const run = await start(t, folder, options, given)
  await run.end()
  return run
}

/** `count` records with numbers from `from` on. */
export function numbered(count: number, from = 0, text = ''): string[] {
  return Array.from({ length: count }, (_, i) =>
    JSON.stringify({ n: from + i, text: `Grüße 東京 😀 ${text}${((from + i) * 7919) % 1009}` }),
  )
}

export function joined(records: readonly string[]): string {
  return records.map(record => `${record}\n`).join('')
}
