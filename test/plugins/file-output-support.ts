// What the tests of outputs share: a context without an engine, and items packed as the engine packs them.

import { constants } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { siteFiles } from '../../core/config/options-file.ts'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import type { Plugin } from '../../core/plugin/define.ts'
import type { Context, Event, Item, Output, Site } from '../../core/plugin/interfaces.ts'
import type { Json, JsonObject } from '../../core/plugin/json.ts'
import { type Disk, disk, type Handle } from '../../plugins/outputs/file/disk.ts'

export interface FakeContext extends Context {
  /** Every log line's level and message. */
  readonly lines: string[]
  readonly stored: Map<string, Json | Uint8Array>
  /** Every change of the health. */
  readonly changes: string[]
  /** Moves both clocks on and calls the timers that are due. */
  pass(ms: number): void
}

export function fakeContext(
  stored = new Map<string, Json | Uint8Array>(),
  now = Date.parse('2026-05-01T10:15:30Z'),
): FakeContext {
  const lines: string[] = []
  const changes: string[] = []
  const timers = new Set<{ at: number; fn: () => void }>()
  let passed = 0
  const after = (ms: number, fn: () => void) => {
    const timer = { at: passed + ms, fn }
    timers.add(timer)
    return () => void timers.delete(timer)
  }
  const log = (level: string) => (_: JsonObject, message: string) => void lines.push(`${level} ${message}`)
  return {
    id: 'file',
    lines,
    stored,
    log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    metrics: { count() {}, gauge() {} },
    clock: { now: () => now + passed, monotonic: () => passed, after, sleep: ms => new Promise(done => void after(ms, done)) },
    rows: {
      get: async key => stored.get(key),
      list: async () => [...stored],
      async put(changed) {
        for (const [key, value] of changed) value === null ? stored.delete(key) : stored.set(key, value)
      },
    },
    changes,
    health: (status, why = '') => void changes.push(`${status} ${why}`.trim()),
    get codec(): never {
      throw new Error('outputs have none')
    },
    ...siteFiles(),
    maxEventBytes: 1 << 24,
    pass(ms) {
      passed += ms
      for (const timer of timers) {
        if (timer.at > passed) continue
        timers.delete(timer)
        timer.fn()
      }
    },
  }
}

export function site(folder: string, id = 'file'): Site {
  return {
    id,
    folder,
    expression: text => {
      const [, field = '', value] = /^(\w+) == "(.*)"$/.exec(text) ?? []
      return event => event.fields[field] === value
    },
    table() {
      throw new Error('outputs have none')
    },
    ...siteFiles(),
  }
}

/** A plugin's instance with its defaults filled in, as the engine does it. */
export function create(plugin: Plugin<Output>, options: JsonObject, folder: string): Output {
  const defaults = Object.entries(plugin.options).flatMap(([name, { default: value }]) =>
    value === undefined ? [] : [[name, value]],
  )
  return plugin.create({ ...Object.fromEntries(defaults), ...options }, site(folder))
}

export function event(fields: JsonObject, id = 'id'): Event {
  return { fields, id, meta: {}, original: new Uint8Array(), split: () => [], redact() {} }
}

/** The events of one chunk, side by side in one buffer. */
export function encoded(output: Output, records: readonly JsonObject[]): Item[] {
  const writer = new ByteWriter()
  const parts = records.map((fields, i) => {
    const address = output.encode(event(fields), writer) ?? {}
    return { address, end: writer.length, id: String(i) }
  })
  const buffer = writer.finish()
  let start = 0
  return parts.map(({ address, end, id }) => {
    const item = { bytes: buffer.subarray(start, end), memory: buffer, start, end, address, id, tries: 0, again: false }
    start = end
    return item
  })
}

export function itemsOf(lines: readonly string[]): Item[] {
  return lines.map(line => {
    const bytes = Buffer.from(`${line}\n`)
    return { bytes, memory: bytes, start: 0, end: bytes.length, address: {}, id: line, tries: 0, again: false }
  })
}

/** Encodes and writes; resolves to the messages of the rejects, by index. */
export async function deliver(output: Output, records: readonly JsonObject[]): Promise<Map<number, string>> {
  const rejected = new Map<number, string>()
  await output.write(
    encoded(output, records),
    (index, error) => void rejected.set(index, error.message),
    AbortSignal.timeout(10_000),
  )
  return rejected
}

export function unpacked(bytes: Buffer, compression: string): string {
  if (compression === 'gzip') return gunzipSync(bytes).toString()
  return compression === 'zstd' ? zstdDecompressSync(bytes).toString() : bytes.toString()
}

/** Every file below a folder by its path; links are not followed. */
export async function tree(folder: string, below = ''): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(join(folder, below), { withFileTypes: true })) {
    const path = join(below, entry.name)
    if (entry.isDirectory()) Object.assign(found, await tree(folder, path))
    if (entry.isFile()) found[path] = await readFile(join(folder, path), 'utf8')
  }
  return found
}

/** A fault, thrown in the place of a call, or undefined; `bytes` is how much a write may take at once. */
export type Faults = (call: string, path: string) => { code?: string; bytes?: number } | undefined

function fail(code: string | undefined, call: string): void {
  if (code) throw Object.assign(new Error(`${code}: injected into ${call}`), { code })
}

/** The real file system with faults in front of it; `calls` lists what was called. */
export function faultyDisk(faults: Faults, calls: string[] = []): Disk {
  const check = (call: string, path: string) => {
    calls.push(`${call} ${path}`)
    const fault = faults(call, path)
    fail(fault?.code, call)
    return fault
  }
  return {
    async open(path, flags, mode) {
      check(flags & constants.O_CREAT ? 'create' : 'open', path)
      const handle = await disk.open(path, flags, mode)
      return {
        async writev(slices: Uint8Array[]) {
          const bytes = check('write', path)?.bytes
          return handle.writev(bytes === undefined ? slices : [(slices[0] as Uint8Array).subarray(0, bytes)])
        },
        async datasync() {
          check('datasync', path)
          return handle.datasync()
        },
        async sync() {
          check('sync', path)
          return handle.sync()
        },
        async truncate(length: number) {
          check('truncate', path)
          return handle.truncate(length)
        },
        async close() {
          calls.push(`close ${path}`)
          await handle.close()
        },
        fd: handle.fd,
        read: handle.read.bind(handle),
        chmod: handle.chmod.bind(handle),
        stat: handle.stat.bind(handle),
      } as Handle
    },
    async mkdir(path, mode) {
      check('mkdir', path)
      return disk.mkdir(path, mode)
    },
    async rename(from, to) {
      check('rename', from)
      return disk.rename(from, to)
    },
    async realpath(path) {
      check('realpath', path)
      return disk.realpath(path)
    },
    async lstat(path) {
      check('lstat', path)
      return disk.lstat(path)
    },
    placeOf: disk.placeOf,
    writable: disk.writable,
  }
}
