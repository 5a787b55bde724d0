// An output for tests that lets its secrets slip wherever an output can say something.
import { existsSync } from 'node:fs'
import { inspect } from 'node:util'
import { defineOutput } from '../../core/plugin/define.ts'
import { OptionError, PermanentError, RetryableError } from '../../core/plugin/errors.ts'
import type { Context } from '../../core/plugin/interfaces.ts'

export default defineOutput({
  summary: 'Cannot keep a secret, for tests',
  options: {
    slip: { type: 'string', required: true, description: 'Where it tells its secrets' },
    url: { type: 'string', secret: true, default: 'https://localhost', description: 'Where to' },
    token: { type: 'string', secret: true, default: '', description: 'What to show there' },
    keys: { type: 'object', secret: true, additionalProperties: { type: 'string' }, description: 'More secrets, by name' },
    until: { type: 'string', format: 'path', default: '/', description: 'File whose appearance ends the outage' },
  },
  examples: [{ slip: 'write', url: 'https://localhost' }],
  create(options) {
    const { slip, url, token, until } = options
    /** The ways in which programs quote what they were given. */
    const everything = () =>
      [
        url,
        `Authorization: Bearer ${token}`,
        `Authorization: Basic ${Buffer.from(`user:${token}`).toString('base64')}`,
        encodeURIComponent(token),
        JSON.stringify(options),
        inspect(options),
      ].join(' ')
    const slipped = () => Object.assign(new Error(`cannot connect: ${everything()}`), { options, url })
    if (slip === 'create') throw slipped()
    if (slip === 'option') throw new OptionError('url', `"${url}" is no URL: ${everything()}`)
    if (slip === 'timer of create') {
      setTimeout(() => {
        throw slipped()
      }, 1)
    }
    let context: Context | undefined
    let thrown = false
    return {
      open(given) {
        context = given
        if (slip === 'open') throw new TypeError(`Invalid URL: ${everything()}`, { cause: slipped() })
      },
      encode(event, to) {
        if (slip === 'encode') throw slipped()
        to.json(event.fields)
        return undefined
      },
      async write(items, reject) {
        for (const index of slip === 'refuse' ? items.keys() : []) {
          reject(index, new PermanentError(`401 for ${everything()}`, { code: token }))
        }
        if (slip === 'outage' && !existsSync(until)) throw new RetryableError(`503 for ${everything()}`)
        if (slip === 'timer' && !existsSync(until)) setTimeout(() => void Promise.reject(slipped()), 1)
        if (slip === 'timer' && !existsSync(until)) await new Promise(() => {})
        if (slip === 'say' && !thrown) {
          thrown = true
          const { log, metrics, health } = context as Context
          log.info({ options, url, error: slipped(), list: [token] }, `sent to ${url} with ${token}`)
          log.error({ stack: slipped().stack }, everything())
          metrics.count('sent', 'Help', 1, { url, token })
          metrics.gauge('open', 'Help', 1, { url })
          health('degraded', everything())
        }
      },
      summary: () => (slip === 'say' ? { title: url, rows: [[token, everything()]] } : undefined),
    }
  },
})
