// The soak's loopback server: keeps a ledger of what it took, and goes through outages of every kind.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** ok: takes all. refuse: the port is closed. hang: no answer. busy: 503. slow: late answers. cut: takes all and breaks off the answer. */
export type Mood = 'ok' | 'refuse' | 'hang' | 'busy' | 'slow' | 'cut'
export const OUTAGES: readonly Mood[] = ['refuse', 'hang', 'busy', 'slow', 'cut']

const SLOW_MS = 400

export interface Destination {
  readonly port: number
  /** Requests that met each mood; `refuse` cannot be seen from here. */
  readonly met: Record<Mood, number>
  turn(mood: Mood): Promise<void>
  close(): Promise<void>
}

/** `take` gets each line that was delivered, and tells whether it is refused for good. */
export async function startDestination(take: (line: string) => boolean): Promise<Destination> {
  const met: Record<Mood, number> = { ok: 0, refuse: 0, hang: 0, busy: 0, slow: 0, cut: 0 }
  let mood: Mood = 'ok'
  let server: Server | undefined
  let port = 0

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const now = mood
    met[now]++
    if (now === 'hang') return
    if (now === 'busy') {
      response.writeHead(503, { 'Retry-After': '1' }).end()
      return
    }
    if (now === 'slow') await sleep(SLOW_MS)
    const refused: number[] = []
    const lines = Buffer.concat(parts).toString('utf8').split('\n').slice(0, -1)
    lines.forEach((line, index) => {
      if (take(line)) refused.push(index)
    })
    const body = JSON.stringify(refused)
    response.writeHead(200, { 'Content-Length': body.length + (now === 'cut' ? 1 : 0) })
    if (now !== 'cut') response.end(body)
    else response.write(body, () => response.destroy())
  }

  async function open(): Promise<void> {
    const opened = createServer((request, response) => {
      answer(request, response).catch(() => response.destroy()) // a client that is killed in the middle of its request
    })
    await new Promise<void>((resolve, reject) => opened.once('error', reject).listen(port, '127.0.0.1', resolve))
    port = (opened.address() as AddressInfo).port
    server = opened
  }

  async function shut(): Promise<void> {
    const open = server
    server = undefined
    if (!open) return
    await new Promise<void>(resolve => {
      open.close(() => resolve())
      open.closeAllConnections()
    })
  }

  await open()
  return {
    get port() {
      return port
    },
    met,
    async turn(next) {
      if (mood === 'hang') server?.closeAllConnections()
      mood = next
      if (next === 'refuse') await shut()
      else if (!server) await open()
    },
    close: shut,
  }
}
