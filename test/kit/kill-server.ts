// A destination that keeps a ledger of what it has stored, and kills the program from inside the handling of a request.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Output, REFUSED_PLACE } from './ledger.ts'

export const MOMENTS = ['before storing', 'after storing', 'after the answer'] as const
export type Moment = (typeof MOMENTS)[number]

export interface Plan {
  /** At which request from now on; of this output, where one is named. */
  readonly nth: number
  readonly output?: Output
  readonly moment: Moment
  /** Awaited before the kill, while the request has no answer. */
  readonly before?: () => Promise<unknown>
  kill(): void
}

export interface LedgerServer {
  readonly url: string
  /** Every line that was stored, in order. */
  readonly lines: Readonly<Record<Output, string[]>>
  requests(): number
  arm(plan: Plan): void
  /** Holds back the answers for an output from now on; the returned function gives them. */
  stall(output: Output): () => void
  close(): Promise<void>
}

export async function ledgerServer(): Promise<LedgerServer> {
  const lines: Record<Output, string[]> = { all: [], logins: [] }
  const stalled = new Map<Output, Promise<void>>()
  let requests = 0
  let plan: Plan | undefined
  /** Requests until the plan is carried out. */
  let left = 0

  async function handle(output: Output, body: string, response: ServerResponse): Promise<void> {
    requests++
    const isMeant = plan !== undefined && (plan.output ?? output) === output && --left === 0
    const now = isMeant ? plan : undefined
    if (now?.moment === 'before storing') return kill(now, response)
    await stalled.get(output)
    const items = body.split('\n').slice(0, -1)
    const refused = items.flatMap((item, index) => (isRefused(output, item) ? [index] : []))
    lines[output].push(...items.filter((_, index) => !refused.includes(index)))
    if (now?.moment === 'after storing') return kill(now, response)
    await new Promise<void>(sent => response.end(JSON.stringify({ refused }), () => sent()))
    if (now) await kill(now, response)
  }

  async function kill({ before, kill }: Plan, response: ServerResponse): Promise<void> {
    plan = undefined
    await before?.()
    kill()
    response.destroy()
  }

  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (more: string) => {
      body += more
    })
    const output = request.url?.slice(1) as Output
    request.on('error', () => {})
    request.on('end', () => {
      handle(output, body, response).catch(error => response.destroy(error))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lines,
    requests: () => requests,
    arm(next) {
      plan = next
      left = next.nth
    },
    stall(output) {
      const { promise, resolve } = Promise.withResolvers<void>()
      stalled.set(output, promise)
      return () => {
        stalled.delete(output)
        resolve()
      }
    },
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function isRefused(output: Output, item: string): boolean {
  return output === 'logins' && (JSON.parse(item) as { place: string }).place === REFUSED_PLACE
}
