// Hints that something changed in a folder: they make following quick. What they miss (network file systems), polling finds.
import { type FSWatcher, watch } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../core/plugin/interfaces.ts'

/** Each takes memory of the kernel, and their number is limited there. */
const MOST_FOLDERS = 1000

export interface Hints {
  /** Watches these folders, and no others any more. */
  watch(folders: ReadonlySet<string>): void
  /** Paths that were written to since the last call, and whether any was made, renamed or removed. */
  take(): { written: ReadonlySet<string>; renamed: boolean }
  /** Resolves after `ms`, at the next hint that passes the filter, or when `signal` aborts. */
  wait(ms: number, clock: Clock, signal: AbortSignal): Promise<void>
  close(): void
}

/** `wanted` filters paths: a folder may see much that is no business of this input. */
export function createHints(wanted: (path: string) => boolean): Hints {
  const watchers = new Map<string, FSWatcher>()
  let written = new Set<string>()
  let renamed = false
  let wake = () => {}

  const stop = (folder: string): void => {
    watchers.get(folder)?.close()
    watchers.delete(folder)
  }

  const start = (folder: string): void => {
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        const path = name === null ? folder : join(folder, name)
        if (name !== null && !written.has(path) && !wanted(path)) return
        written.add(path)
        renamed ||= event === 'rename' || name === null
        wake()
      })
      watcher.on('error', () => stop(folder))
      watchers.set(folder, watcher)
    } catch {
      // No more watches, or a file system without them: polling is enough, only slower.
    }
  }

  return {
    watch(folders) {
      for (const folder of watchers.keys()) if (!folders.has(folder)) stop(folder)
      for (const folder of folders) if (!watchers.has(folder) && watchers.size < MOST_FOLDERS) start(folder)
    },
    take() {
      const taken = { written, renamed }
      written = new Set()
      renamed = false
      return taken
    },
    async wait(ms, clock, signal) {
      if (written.size > 0 || signal.aborted) return
      await new Promise<void>(resolve => {
        const cancel = clock.after(ms, () => wake())
        const abort = () => wake()
        signal.addEventListener('abort', abort, { once: true })
        wake = () => {
          wake = () => {}
          cancel()
          signal.removeEventListener('abort', abort)
          resolve()
        }
      })
    },
    close() {
      for (const folder of watchers.keys()) stop(folder)
    },
  }
}
