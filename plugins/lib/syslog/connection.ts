// A connection to a receiver of syslog over TCP or TLS, which confirms nothing: all that can be known of it is watched.
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { asError, errorCode, RetryableError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'
import { type TlsSettings, tlsAdvice } from '../http/tls.ts'

export interface ConnectionOptions {
  readonly host: string
  readonly port: number
  /** TLS with these settings; without it plain TCP. */
  readonly tls: TlsSettings | undefined
  readonly clock: Clock
  /** What a connection may take. Milliseconds. */
  readonly connectMs: number
  /** What the system may take to accept a batch. Milliseconds. */
  readonly writeMs: number
  /** So long the connection must last after a batch was taken. Milliseconds. */
  readonly confirmMs: number
  /** A connection was made. */
  connected?(): void
}

const KEEP_ALIVE_MS = 30_000
/** What the other side may take to close its half. Milliseconds. */
const CLOSING_MS = 2_000

/** A socket, and what has gone wrong with it. */
interface Line {
  readonly socket: Socket
  /** Why nothing can be sent any more. */
  broken: Error | undefined
  /** Batches that are not confirmed yet. */
  readonly waiting: Set<(error: Error) => void>
}

export class SyslogConnection {
  readonly #options: ConnectionOptions
  readonly #name: string
  #line: Promise<Line> | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#name = isIP(options.host) === 6 ? `[${options.host}]:${options.port}` : `${options.host}:${options.port}`
  }

  /**
   * Resolves once the system has taken the bytes, and the connection has lasted a while behind that. Rejects with a RetryableError when it
   * ended before, and takes the bytes back as far as that can be done: those of a broken connection are not sent any more.
   */
  async send(slices: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const line = await this.#open(signal)
    const { clock, writeMs, confirmMs } = this.#options
    await new Promise<void>((resolve, reject) => {
      let stopTimer = () => {}
      const over = (settle: () => void) => {
        stopTimer()
        line.waiting.delete(fail)
        signal.removeEventListener('abort', aborted)
        settle()
      }
      const fail = (error: Error) => over(() => reject(error))
      const aborted = () => {
        this.#end(line, new Error('the pipeline stops'))
      }
      line.waiting.add(fail)
      signal.addEventListener('abort', aborted, { once: true })
      if (line.broken) return fail(line.broken)
      if (signal.aborted) return aborted()
      stopTimer = clock.after(writeMs, () => this.#end(line, new Error(`nothing was taken from a batch for ${writeMs / 1000} s`)))
      const { socket } = line
      let left = slices.length
      const taken = (error?: Error | null) => {
        if (error) return this.#end(line, error)
        if (--left > 0) return
        stopTimer()
        stopTimer = clock.after(confirmMs, () => over(resolve))
      }
      socket.cork()
      for (const slice of slices) socket.write(slice, taken)
      socket.uncork()
    }).catch(error => {
      signal.throwIfAborted()
      throw new RetryableError(
        `${this.#name}: ${why(error)}, while a batch was on its way: all of it is sent again, and parts may arrive twice`,
        { code: 'PEN_SYSLOG', cause: error },
      )
    })
  }

  /** Sends what was taken, and closes. */
  async close(): Promise<void> {
    const line = await this.#line?.catch(() => undefined)
    this.#line = undefined
    if (!line || line.broken) return
    const { socket } = line
    await new Promise<void>(resolve => {
      const stopTimer = this.#options.clock.after(CLOSING_MS, () => socket.destroy())
      socket.once('close', () => {
        stopTimer()
        resolve()
      })
      socket.end()
    })
  }

  /** The connection that there is, or a new one. */
  async #open(signal: AbortSignal): Promise<Line> {
    const known = await this.#line?.catch(() => undefined)
    if (known && !known.broken) return known
    // Another batch may have come here first.
    this.#line = this.#connecting ?? this.#connect(signal)
    return this.#line
  }

  #connecting: Promise<Line> | undefined

  #connect(signal: AbortSignal): Promise<Line> {
    this.#connecting = this.#connectOnce(signal).finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  #connectOnce(signal: AbortSignal): Promise<Line> {
    const { host, port, tls, clock, connectMs } = this.#options
    return new Promise<Line>((resolve, reject) => {
      const socket = tls
        ? connectTls({ ...tls, host, port, minVersion: 'TLSv1.2', ...(!isIP(host) && { servername: host }) })
        : connectTcp({ host, port })
      const line: Line = { socket, broken: undefined, waiting: new Set() }
      const aborted = () => void socket.destroy(new Error('the pipeline stops'))
      const stopTimer = clock.after(connectMs, () => socket.destroy(new Error(`no connection within ${connectMs / 1000} s`)))
      const settled = () => {
        stopTimer()
        signal.removeEventListener('abort', aborted)
      }
      signal.addEventListener('abort', aborted, { once: true })
      socket.setKeepAlive(true, KEEP_ALIVE_MS)
      // A receiver says nothing; but only who reads sees that it has closed its half, and may be gone.
      socket.resume()
      socket.once(tls ? 'secureConnect' : 'connect', () => {
        settled()
        this.#options.connected?.()
        resolve(line)
      })
      socket.on('error', error => this.#end(line, error))
      socket.on('end', () => this.#end(line, new Error('it has closed the connection')))
      socket.on('close', () => {
        settled()
        this.#end(line, new Error('it has closed the connection'))
        const { broken } = line
        reject(
          signal.aborted
            ? signal.reason
            : new RetryableError(`no connection to ${this.#name}: ${broken ? why(broken) : 'it was closed'}`, {
                code: 'PEN_SYSLOG',
                cause: broken,
              }),
        )
      })
    })
  }

  /** What was not confirmed is not delivered; and nothing more goes out, since the bytes of these batches may be used for others. */
  #end(line: Line, error: Error): void {
    if (line.broken) return
    line.broken = error
    line.socket.destroy()
    for (const fail of [...line.waiting]) fail(error)
  }
}

function why(error: unknown): string {
  const known = asError(error)
  const advice = tlsAdvice(known)
  if (advice) return advice
  const code = errorCode(known)
  return known.message.includes(code) || code === 'Error' ? known.message : `${known.message} (${code})`
}
