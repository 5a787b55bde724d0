// The store as the main thread sees it: every call is a message to the store's thread and a promise.
import { resolve } from 'node:path'
import type { Json } from '../plugin/json.ts'
import { decodeLetter, decodeText, decodeValue, encodeChanges, encodeLetter } from './encode.ts'
import { refusal } from './failure.ts'
import type { Operations, StoreData } from './protocol.ts'
import { openQueue } from './queue.ts'
import { queuePath } from './queue-folder.ts'
import { bootThread, startThread } from './thread.ts'
import type { Letters, StateStore, StoreOptions } from './types.ts'

const MAX_LETTER_BYTES = 2 ** 30

/**
 * Opens the state folder, and creates it where there is none. One engine at a time; see StoreOptions for what works beside it.
 *
 * Rejects with a PenstockError that says what to do. PEN_STATE_IN_USE: another process has it. PEN_STATE_UNWRITABLE: rights, a
 * read-only disk, no folder. PEN_STATE_NEWER: written by a newer Penstock. PEN_STATE_DAMAGED: a file is damaged, or lost beside
 * others. PEN_STATE_MISSING, PEN_STATE_OLDER: only with `beside`. ENOSPC: no room to create the files. Later calls also reject with
 * ENOSPC, PEN_STATE_IO (the disk failed), PEN_STATE_BUSY (another program kept a file locked for 30 s), PEN_STATE_DAMAGED,
 * PEN_DEAD_LETTERS_FULL, PEN_STATE_VALUE (no JSON value), PEN_STATE_BESIDE, PEN_STATE_CLOSED, PEN_STATE_THREAD (the thread died).
 * Of a call that rejects nothing was written, but with PEN_STATE_THREAD that is unknown.
 */
export async function openStore(folder: string, options: StoreOptions = {}): Promise<StateStore> {
  const { log, beside = false, setAside = false, maxLetterBytes = MAX_LETTER_BYTES } = options
  const now = () => options.clock?.now() ?? Date.now()
  const path = resolve(folder)
  const data: StoreData = { folder: path, beside, setAside, maxLetterBytes }
  const { call, close, stats } = await startThread<Operations>(data, path, log, options.thread ?? bootThread())

  /** What only the engine may do, because it would write it back at once. */
  const engineOnly = (what: string) => {
    if (beside)
      throw refusal(
        'PEN_STATE_BESIDE',
        `state: ${what} needs the state folder for itself: stop the engine that works on ${path} first`,
      )
  }

  const letters: Letters = {
    async add(letters) {
      engineOnly('writing dead letters')
      if (letters.length === 0) return
      const messages = letters.map(encodeLetter)
      await call(
        'add',
        { at: now(), letters: messages },
        messages.map(({ bytes }) => bytes.buffer),
      )
    },
    async list(filter) {
      return (await call('letters', { filter })).map(decodeLetter)
    },
    counts: () => call('counts', {}),
    mark: filter => call('mark', { filter }),
    remove: filter => call('remove', { filter }),
  }

  return {
    folder: path,
    letters,
    stats,
    async commit(changes) {
      engineOnly('saving positions')
      if (changes.positions.length === 0 && changes.rows.length === 0) return
      const { text, blobs } = encodeChanges(changes)
      await call(
        'commit',
        { at: now(), text, blobs },
        blobs.map(({ buffer }) => buffer),
      )
    },
    async positions(pipeline, input) {
      return new Map(decodeText<[string, Json][]>(await call('positions', { pipeline, input })))
    },
    async allPositions() {
      return decodeText(await call('allPositions', {}))
    },
    async scopes() {
      return decodeText(await call('scopes', {}))
    },
    async get(scope, key) {
      const value = await call('get', { scope, key })
      return value === undefined ? undefined : decodeValue(value)
    },
    async list(scope, prefix, { after = null, limit = -1 } = {}) {
      return (await call('list', { scope, prefix, after, limit })).map(([key, value]) => [key, decodeValue(value)] as const)
    },
    async reset(pipeline, step) {
      engineOnly('a reset')
      return call('reset', { pipeline, step })
    },
    async openQueue(pipeline, output, maxBytes, window) {
      engineOnly('a disk queue')
      return openQueue({ path: queuePath(path, pipeline, output), maxBytes, window }, now, log)
    },
    queues: () => call('queues', {}),
    async dropQueue(pipeline, output) {
      engineOnly('a reset')
      return call('dropQueue', { pipeline, output })
    },
    close,
  }
}
