// An output for tests that hands its items to a server over HTTP, a request a batch: the server may kill the program meanwhile.
import { Agent, request } from 'node:http'
import { defineOutput } from '../../core/plugin/define.ts'
import { PermanentError, RetryableError } from '../../core/plugin/errors.ts'

export default defineOutput({
  summary: 'Posts its items to a server, for tests',
  options: { url: { type: 'string', required: true, description: 'Where to post, as http://127.0.0.1:1234/name' } },
  examples: [{ url: 'http://127.0.0.1:1234/all' }],
  create({ url }) {
    const agent = new Agent({ keepAlive: true })
    return {
      encode(event, to) {
        to.json(event.fields)
        to.byte(10)
        return undefined
      },
      async write(items, reject, signal) {
        const refused = await post(url, Buffer.concat(items.map(({ bytes }) => bytes)), agent, signal)
        for (const index of refused) reject(index, new PermanentError('the server refuses this place'))
      },
      close() {
        agent.destroy()
      },
    }
  },
})

/** The indices of the items that the server refuses. */
function post(url: string, body: Buffer, agent: Agent, signal: AbortSignal): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) => reject(new RetryableError('the server does not answer', { cause }))
    const asked = request(url, { method: 'POST', agent, signal, headers: { 'Content-Length': body.length } }, answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (more: string) => {
        text += more
      })
      answer.on('error', failed).on('end', () => resolve((JSON.parse(text) as { refused: number[] }).refused))
    })
    asked.on('error', failed).end(body)
  })
}
