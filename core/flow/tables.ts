// The tables that filters look into: loaded once on the main thread, as images that all workers share, and swapped when they change.
import { stat } from 'node:fs/promises'
import { siteFiles } from '../config/options-file.ts'
import type { PluginOf } from '../plugin/define.ts'
import { asError, PenstockError } from '../plugin/errors.ts'
import type { Clock, Log, Site, Table, TableHandle } from '../plugin/interfaces.ts'
import type { JsonObject } from '../plugin/json.ts'
import type { StepSpec } from './packed.ts'

/** A table of the pipeline, or one that a filter asked for by type and options, with the image that is in use. */
export interface TableImage {
  readonly key: string
  readonly step: StepSpec
  readonly image: SharedArrayBuffer | undefined
}

type Source = Parameters<Site['table']>[0]
/** Gives the plugin of a table, and where it lies. `type` is set where a filter asked for a table that no step declares. */
export type LoadTable = (
  step: StepSpec,
  type: string | undefined,
) => Promise<{ readonly plugin: PluginOf<'table'>; readonly url: string; readonly options?: JsonObject }>

/** How often the files of tables are looked at. Milliseconds. */
const RELOAD_MS = 5_000

interface Entry {
  readonly key: string
  readonly type: string | undefined
  step: StepSpec
  readonly handle: TableHandle
  table?: Table
  view?: TableHandle
  image?: SharedArrayBuffer | undefined
  stamp?: string
}

export class Tables {
  readonly #entries = new Map<string, Entry>()
  #stopWatching: (() => void) | undefined

  /** `declared`: the pipeline's own tables. */
  constructor(declared: readonly StepSpec[] = []) {
    for (const step of declared) this.#add(step.id, step, undefined)
  }

  /** For a step's Site: the handle of a declared table, or of one by type and options, which is loaded by `open`. */
  for(step: { readonly id: string; readonly folder: string }): Site['table'] {
    return source => {
      const key = keyOf(source, step.folder)
      const entry = this.#entries.get(key)
      if (entry) return entry.handle
      if (typeof source === 'string')
        throw new PenstockError('PEN_TABLE', `step ${step.id} needs a table ${source} that is not there`)
      const asked = { id: `${step.id}/${source.type}`, url: '', options: source.options, folder: step.folder }
      return this.#add(key, asked, source.type).handle
    }
  }

  /** Loads every table, on the main thread. */
  async open(load: LoadTable, signal: AbortSignal): Promise<void> {
    for (const entry of this.#entries.values()) {
      const { plugin, url, options = entry.step.options } = await load(entry.step, entry.type)
      entry.step = { ...entry.step, url, options }
      const table = plugin.create(entry.step.options, siteOf(entry.step))
      entry.table = table
      entry.stamp = await stamp(table)
      entry.image = await table.load?.(signal)
      entry.view = table.view(entry.image)
    }
  }

  /** In a worker: the tables as the main thread has loaded them. */
  static async fromImages(images: readonly TableImage[], load: LoadTable): Promise<Tables> {
    const tables = new Tables()
    for (const { key, step, image } of images) {
      const entry = tables.#add(key, step, undefined)
      entry.table = (await load(step, undefined)).plugin.create(step.options, siteOf(step))
      entry.view = entry.table.view(image)
    }
    return tables
  }

  images(): TableImage[] {
    return [...this.#entries.values()].map(({ key, step, image }) => ({ key, step, image }))
  }

  /** Puts a new image in use, in this thread. */
  swap(key: string, image: SharedArrayBuffer | undefined): void {
    const entry = this.#entries.get(key)
    if (!entry?.table) return
    entry.view = entry.table.view(image)
    entry.image = image
  }

  /** Looks at the tables' files and loads again what has changed; a file that cannot be read leaves the old image in use. */
  watch(clock: Clock, log: Log, changed: (key: string, image: SharedArrayBuffer | undefined) => void): void {
    const abort = new AbortController()
    let cancel = () => {}
    const look = async () => {
      for (const entry of this.#entries.values()) {
        if (!entry.table?.files) continue
        try {
          const now = await stamp(entry.table)
          if (now === entry.stamp) continue
          // Also when it cannot be loaded: it is tried again when it has changed again.
          entry.stamp = now
          const image = await entry.table.load?.(abort.signal)
          this.swap(entry.key, image)
          changed(entry.key, image)
          log.info({ table: entry.step.id }, 'table loaded again')
        } catch (error) {
          if (abort.signal.aborted) return
          log.warn(
            { table: entry.step.id, error: asError(error).message },
            'table cannot be loaded again, the old one stays in use',
          )
        }
      }
      if (!abort.signal.aborted) cancel = clock.after(RELOAD_MS, look)
    }
    if ([...this.#entries.values()].some(entry => entry.table?.files)) cancel = clock.after(RELOAD_MS, look)
    this.#stopWatching = () => {
      abort.abort()
      cancel()
    }
  }

  async close(): Promise<void> {
    this.#stopWatching?.()
    for (const { table } of this.#entries.values()) await table?.close?.()
  }

  #add(key: string, step: StepSpec, type: string | undefined): Entry {
    const entry: Entry = {
      key,
      type,
      step,
      handle: {
        lookup: text => {
          if (!entry.view) throw new PenstockError('PEN_TABLE', `table ${entry.step.id} is not loaded yet`)
          return entry.view.lookup(text)
        },
      },
    }
    this.#entries.set(key, entry)
    return entry
  }
}

function keyOf(source: Source, folder: string): string {
  return typeof source === 'string' ? source : JSON.stringify([source.type, sorted(source.options), folder])
}

function sorted(options: JsonObject): [string, unknown][] {
  return Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1))
}

function siteOf(step: StepSpec): Site {
  const none = () => {
    throw new PenstockError('PEN_TABLE', `table ${step.id}: a table has neither expressions nor tables of its own`)
  }
  return { id: step.id, folder: step.folder, expression: none, table: none, ...siteFiles() }
}

async function stamp(table: Table): Promise<string> {
  const parts: string[] = []
  for (const file of table.files ?? []) {
    try {
      const { mtimeMs, size, ino } = await stat(file)
      parts.push(`${mtimeMs}:${size}:${ino}`)
    } catch (error) {
      parts.push(String((error as { code?: string }).code))
    }
  }
  return parts.join()
}
