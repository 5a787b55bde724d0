// The store's thread from outside: requests, their answers, and its end.
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { errorCode } from '../plugin/errors.ts'
import type { Log } from '../plugin/interfaces.ts'
import { errorOf, refusal } from './failure.ts'
import type { Answer, Operation, Operations, StoreData } from './protocol.ts'
import type { StoreStats } from './types.ts'

export interface StoreThread {
  readonly stats: StoreStats
  /** Sends a request; `transfer` are buffers that are given away with it. */
  call<O extends Operation>(op: O, request: Operations[O][0], transfer?: readonly ArrayBuffer[]): Promise<Operations[O][1]>
  /** Waits for what is under way, then ends the thread. */
  close(): Promise<void>
}

interface Call {
  readonly op: Operation
  resolve(value: unknown): void
  reject(error: Error): void
}

/** Starts a thread that loads its modules and waits: whoever has other things to do first need not wait for that later. */
export function bootThread(): Worker {
  // The extension is this file's own: `.ts` in a checkout, `.js` in the package.
  const entry = new URL(`./store-thread${extname(new URL(import.meta.url).pathname)}`, import.meta.url)
  // None of the process's own flags: loaders that it was started with would cost the thread their start, and it needs none.
  return new Worker(entry, { name: 'penstock-state', execArgv: ['--disable-warning=ExperimentalWarning'] })
}

/** Resolves when the thread has opened the files, rejects when it cannot. */
export function startThread(data: StoreData, log: Log | undefined, worker: Worker = bootThread()): Promise<StoreThread> {
  worker.postMessage(data)
  const calls = new Map<number, Call>()
  const stats = { commits: 0, transactions: 0 }
  const opened = Promise.withResolvers<StoreThread>()
  const exited = Promise.withResolvers<void>()
  let lastId = 0
  /** Why no call is taken any more. */
  let over: Error | undefined
  let isGone = false
  let isClosing = false
  let closing: Promise<void> | undefined
  let idle: (() => void) | undefined

  function send<O extends Operation>(
    op: O,
    request: Operations[O][0],
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<Operations[O][1]> {
    return new Promise((resolve, reject) => {
      const id = ++lastId
      worker.postMessage({ id, op, ...request }, transfer)
      // A process may end while nothing is under way here, but not before its last commit was answered.
      if (calls.size === 0) worker.ref()
      calls.set(id, { op, resolve: resolve as (value: unknown) => void, reject })
    })
  }

  function settle(ids: readonly number[], how: (call: Call) => void): void {
    for (const id of ids) {
      const call = calls.get(id)
      calls.delete(id)
      if (call) how(call)
    }
    if (calls.size > 0) return
    if (!isClosing) worker.unref()
    idle?.()
  }

  function end(why: Error): void {
    isGone = true
    over ??= why
    opened.reject(why)
    settle([...calls.keys()], call => call.reject(why))
  }

  worker.on('message', (answer: Answer) => {
    switch (answer.kind) {
      case 'opened':
        worker.unref()
        opened.resolve({ stats, call, close })
        break
      case 'refused':
        end(errorOf(answer.failure))
        break
      case 'done':
        if (calls.get(answer.ids[0] ?? 0)?.op === 'commit') {
          stats.commits += answer.ids.length
          stats.transactions++
        }
        settle(answer.ids, ({ resolve }) => resolve(answer.value))
        break
      case 'failed':
        settle(answer.ids, ({ reject }) => reject(errorOf(answer.failure)))
        break
      case 'log':
        log?.[answer.level](answer.fields, answer.message)
    }
  })
  worker.on('error', cause => end(died(data.folder, cause)))
  worker.on('exit', () => {
    end(died(data.folder))
    exited.resolve()
  })

  const call: StoreThread['call'] = (op, request, transfer) => (over ? Promise.reject(over) : send(op, request, transfer))

  function close(): Promise<void> {
    closing ??= finish()
    return closing
  }

  async function finish(): Promise<void> {
    worker.ref()
    isClosing = true
    over ??= refusal('PEN_STATE_CLOSED', `state: ${data.folder} is closed`)
    if (calls.size > 0) await new Promise<void>(resolve => (idle = resolve))
    try {
      if (!isGone) await send('close', {})
    } finally {
      await exited.promise
    }
  }

  return opened.promise
}

function died(folder: string, cause?: unknown): Error {
  const notStarted = cause instanceof Error && errorCode(cause) === 'ERR_WORKER_INIT_FAILED'
  return refusal(
    'PEN_STATE_THREAD',
    notStarted
      ? `state: the thread that keeps ${folder} cannot be started (${cause.message})`
      : `state: the thread that keeps ${folder} has ended unexpectedly: start Penstock again; what was not confirmed will be read again`,
    cause,
  )
}
