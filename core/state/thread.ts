// A thread of the store from outside: requests, their answers, and its end.
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { errorCode } from '../plugin/errors.ts'
import type { Log } from '../plugin/interfaces.ts'
import { errorOf, refusal } from './failure.ts'
import type { Answer } from './protocol.ts'
import type { StoreStats } from './types.ts'

/** What an operation takes, and what it gives. */
type Asked<Ops, O extends keyof Ops> = Ops[O] extends readonly [infer A, unknown] ? A : never
type Given<Ops, O extends keyof Ops> = Ops[O] extends readonly [unknown, infer G] ? G : never

export interface StoreThread<Ops> {
  readonly stats: StoreStats
  /** Sends a request; `transfer` are buffers that are given away with it. */
  call<O extends keyof Ops>(op: O, request: Asked<Ops, O>, transfer?: readonly ArrayBuffer[]): Promise<Given<Ops, O>>
  /** Waits for what is under way, then ends the thread. */
  close(): Promise<void>
}

interface Call {
  readonly op: PropertyKey
  resolve(value: unknown): void
  reject(error: Error): void
}

/** Starts a thread that loads its modules and waits: whoever has other things to do first need not wait for that later. */
export function bootThread(what: 'store' | 'queue' = 'store'): Worker {
  // The extension is this file's own: `.ts` in a checkout, `.js` in the package.
  const entry = new URL(`./${what}-thread${extname(new URL(import.meta.url).pathname)}`, import.meta.url)
  // None of the process's own flags: loaders that it was started with would cost the thread their start, and it needs none.
  return new Worker(entry, {
    name: what === 'store' ? 'penstock-state' : 'penstock-queue',
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
}

/** Resolves when the thread has opened its files, rejects when it cannot. `place`: what it keeps, for messages. */
export function startThread<Ops>(data: object, place: string, log: Log | undefined, worker: Worker): Promise<StoreThread<Ops>> {
  worker.postMessage(data)
  const calls = new Map<number, Call>()
  const stats = { commits: 0, transactions: 0 }
  const opened = Promise.withResolvers<StoreThread<Ops>>()
  const exited = Promise.withResolvers<void>()
  let lastId = 0
  /** Why no call is taken any more. */
  let over: Error | undefined
  let isGone = false
  let isClosing = false
  let closing: Promise<void> | undefined
  let idle: (() => void) | undefined

  function send(op: PropertyKey, request: object, transfer: readonly ArrayBuffer[] = []): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = ++lastId
      worker.postMessage({ id, op, ...request }, transfer)
      // A process may end while nothing is under way here, but not before its last commit was answered.
      if (calls.size === 0) worker.ref()
      calls.set(id, { op, resolve, reject })
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
  worker.on('error', cause => end(died(place, cause)))
  worker.on('exit', () => {
    end(died(place))
    exited.resolve()
  })

  const call = ((op: PropertyKey, request: object, transfer?: readonly ArrayBuffer[]) =>
    over ? Promise.reject(over) : send(op, request, transfer)) as StoreThread<Ops>['call']

  function close(): Promise<void> {
    closing ??= finish()
    return closing
  }

  async function finish(): Promise<void> {
    worker.ref()
    isClosing = true
    over ??= refusal('PEN_STATE_CLOSED', `state: ${place} is closed`)
    if (calls.size > 0) await new Promise<void>(resolve => (idle = resolve))
    try {
      if (!isGone) await send('close', {})
    } finally {
      await exited.promise
    }
  }

  return opened.promise
}

function died(place: string, cause?: unknown): Error {
  const notStarted = cause instanceof Error && errorCode(cause) === 'ERR_WORKER_INIT_FAILED'
  return refusal(
    'PEN_STATE_THREAD',
    notStarted
      ? `state: the thread that keeps ${place} cannot be started (${cause.message})`
      : `state: the thread that keeps ${place} has ended unexpectedly: start Penstock again; what was not confirmed will be read again`,
    cause,
  )
}
