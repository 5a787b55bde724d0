// Syslog over UDP: a datagram for every message, and no word of any that is lost.
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { asError, RetryableError } from '../../../core/plugin/errors.ts'
import type { Clock } from '../../../core/plugin/interfaces.ts'

/**
 * Datagrams that the system is given at once, and the pause behind them: a receiver's buffer holds few hundred, and what does not fit is
 * lost. Milliseconds.
 */
const AT_ONCE = 64
const PAUSE_MS = 1

export class Datagrams {
  readonly #host: string
  readonly #port: number
  readonly #clock: Clock
  #socket: Socket | undefined
  /** What the other side's system has said of a datagram: that nobody listens there. */
  #error: Error | undefined

  constructor(host: string, port: number, clock: Clock) {
    this.#host = host
    this.#port = port
    this.#clock = clock
  }

  /** Resolves once the system has taken them all. */
  async send(messages: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    try {
      this.#socket ??= await this.#open()
      for (let from = 0; from < messages.length; from += AT_ONCE) {
        signal.throwIfAborted()
        if (from > 0) await this.#clock.sleep(PAUSE_MS, signal)
        await Promise.all(messages.slice(from, from + AT_ONCE).map(message => this.#one(message)))
      }
    } catch (cause) {
      signal.throwIfAborted()
      await this.close()
      throw new RetryableError(
        `no datagrams to ${this.#host}:${this.#port}: ${asError(cause).message}; the batch is sent again, and parts may arrive twice`,
        { code: 'PEN_SYSLOG', cause },
      )
    }
  }

  async close(): Promise<void> {
    const socket = this.#socket
    this.#socket = undefined
    this.#error = undefined
    if (socket) await new Promise<void>(resolve => socket.close(() => resolve()))
  }

  async #open(): Promise<Socket> {
    const { address, family } = await lookup(this.#host)
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4')
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.connect(this.#port, address, () => {
          socket.off('error', reject)
          resolve()
        })
      })
    } catch (error) {
      socket.close()
      throw error
    }
    socket.on('error', error => {
      this.#error = error
    })
    return socket
  }

  #one(message: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#error || !this.#socket) return reject(this.#error ?? new Error('the socket is closed'))
      this.#socket.send(message, error => (error ? reject(error) : resolve()))
    })
  }
}
