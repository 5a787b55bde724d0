// An output for the soak: posts batches as NDJSON. 503 is worth another try, and the answer names the lines that are refused for good.
import { Agent, request } from 'node:http'
import { defineOutput } from '../../core/plugin/define.ts'
import { PermanentError, RetryableError } from '../../core/plugin/errors.ts'

export default defineOutput({
  summary: 'Posts batches as NDJSON, for the soak',
  options: {
    url: { type: 'string', required: true, description: 'Where batches are posted' },
    timeout_ms: { type: 'integer', default: 1_500, description: 'Milliseconds that an answer may take' },
  },
  examples: [{ url: 'http://127.0.0.1:8080/' }],
  create({ url, timeout_ms }) {
    const agent = new Agent({ keepAlive: true, maxSockets: 2 })

    const post = (body: Buffer, signal: AbortSignal) =>
      new Promise<{ status: number; after: number; text: string }>((resolve, reject) => {
        const sent = request(url, { method: 'POST', agent, signal, headers: { 'Content-Length': body.length } }, response => {
          let text = ''
          response.setEncoding('utf8').on('data', part => {
            text += part
          })
          response.on('error', reject)
          // Also when the connection breaks in the middle of the answer.
          response.on('close', () => {
            if (!response.complete) return reject(new Error('the answer was cut off'))
            resolve({ status: response.statusCode ?? 0, after: Number(response.headers['retry-after'] ?? 0), text })
          })
        })
        sent.on('error', reject)
        sent.end(body)
      })

    return {
      encode(event, to) {
        to.json(event.fields)
        to.byte(10)
        return undefined
      },
      async write(items, reject, signal) {
        const limit = AbortSignal.any([signal, AbortSignal.timeout(timeout_ms)])
        const { status, after, text } = await post(Buffer.concat(items.map(({ bytes }) => bytes)), limit)
        if (status !== 200) throw new RetryableError(`status ${status}`, { after: after * 1_000 })
        for (const index of JSON.parse(text) as number[]) reject(index, new PermanentError('refused for good'))
      },
      close() {
        agent.destroy()
      },
    }
  },
})
