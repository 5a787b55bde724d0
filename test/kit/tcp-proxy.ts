// A TCP proxy between a client and a server, for tests: drops answers, cuts connections, lets nothing through.

import type { AddressInfo } from 'node:net'
import { connect, createServer, type Server, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /**
   * What becomes of each piece that the server sends. `drop` loses it and all that follows on its connection, `cut` ends the connection in
   * its place. Default: everything passes.
   */
  answer(decide: (piece: Buffer, connection: number) => 'pass' | 'drop' | 'cut'): void
  /** The same for what the client sends, before it goes to the server. */
  request(decide: (piece: Buffer, connection: number) => 'pass' | 'drop' | 'cut'): void
  /** Ends all connections; new ones are taken. */
  cut(): void
  close(): Promise<void>
}

/** `to` is looked at for each connection. */
export async function tcpProxy(to: { readonly port: number; readonly host?: string }): Promise<TcpProxy> {
  type Decide = (piece: Buffer, connection: number) => 'pass' | 'drop' | 'cut'
  let onAnswer: Decide = () => 'pass'
  let onRequest: Decide = () => 'pass'
  let count = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer(client => {
    const number = count++
    const upstream = connect(to.port, to.host ?? '127.0.0.1')
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    const pipe = (from: Socket, into: Socket, decide: () => Decide) => {
      let lost = false
      from.on('data', (piece: Buffer) => {
        if (lost) return
        const what = decide()(piece, number)
        if (what === 'cut') end()
        else if (what === 'drop') lost = true
        else into.write(piece)
      })
    }
    pipe(client, upstream, () => onRequest)
    pipe(upstream, client, () => onAnswer)
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port,
    answer(decide) {
      onAnswer = decide
    },
    request(decide) {
      onRequest = decide
    },
    cut,
    close() {
      cut()
      return new Promise(resolve => server.close(() => resolve()))
    },
  }
}
