// A receiver of syslog over TCP or TLS that keeps what it gets, and reads messages by their length.
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createSecure, type TlsOptions } from 'node:tls'
import type { Test } from 'tap'

export interface Receiver {
  readonly port: number
  /** What each connection has sent, in their order. */
  readonly texts: string[]
  readonly sockets: Socket[]
  server: Server
  /** Takes connections again, at the same port. */
  listen(): Promise<void>
}

/** `arrived` may end the connection that it is called for. */
export async function receiver(
  t: Test,
  arrived: (socket: Socket, text: string, connection: number) => void = () => {},
  tls?: TlsOptions,
): Promise<Receiver> {
  const texts: string[] = []
  const sockets: Socket[] = []
  const take = (socket: Socket) => {
    const connection = texts.push('') - 1
    sockets.push(socket)
    socket.on('error', () => {})
    socket.setEncoding('utf8').on('data', part => {
      texts[connection] += String(part)
      arrived(socket, texts[connection] as string, connection)
    })
  }
  const serverOf = () => {
    const made = tls ? createSecure(tls, take) : createServer(take)
    return made.on('tlsClientError', () => {})
  }
  const own = {
    ...{ texts, sockets, server: serverOf(), port: 0 },
    async listen() {
      if (own.port > 0) own.server = serverOf()
      await new Promise<void>((resolve, reject) => {
        own.server.once('error', reject)
        own.server.listen(own.port, '127.0.0.1', resolve)
      })
      own.port = (own.server.address() as AddressInfo).port
    },
  }
  await own.listen()
  t.teardown(() => {
    own.server.close()
    for (const socket of sockets) socket.destroy()
  })
  return own
}

/** Messages framed by their length; what is cut off at the end is left out. */
export function counted(text: string): string[] {
  const bytes = Buffer.from(text)
  const found: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const blank = bytes.indexOf(' ', at)
    const length = Number(bytes.toString('utf8', at, blank))
    if (blank < 0 || !(length > 0)) throw new Error(`no length at ${at}: ${bytes.toString('utf8', at, at + 40)}`)
    if (blank + 1 + length > bytes.length) break
    found.push(bytes.toString('utf8', blank + 1, blank + 1 + length))
    at = blank + 1 + length
  }
  return found
}
