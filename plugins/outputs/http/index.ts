// Sends events to any HTTP endpoint, and believes nothing but an answer that came in full.
import { defineOutput } from '../../../core/plugin/define.ts'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Address, Item, Output } from '../../../core/plugin/interfaces.ts'
import { ANSWERS, answerError, blamesContent, meanings } from '../../lib/request/answers.ts'
import { FateMemory, halves, inParts } from '../../lib/request/fates.ts'
import { checkUrl, REQUEST_OPTIONS, wayOf } from '../../lib/request/options.ts'
import { openSender, type Sender } from '../../lib/request/sender.ts'
import { lengthOf } from '../../lib/slices.ts'
import { compile } from '../../lib/template.ts'
import { addressBook, byAddress } from './addresses.ts'
import { bodyFrame, FORMATS } from './body.ts'
import { plainHeaders, secretHeaders } from './headers.ts'
import { urlRules } from './text-rules.ts'

export default defineOutput({
  summary: 'Sends events to any HTTP endpoint as NDJSON, JSON or in a template, and repeats what was not answered with success',
  description: `
A batch is one request: NDJSON, a JSON array, or with \`format: each\` a request for every event. Around the events may stand a
\`prefix\` and a \`suffix\`, or a \`template\`, which is JSON with \`"%{events}"\` where the list of them goes (\`"%{event}"\` with
\`format: each\`): \`{ source: penstock, records: "%{events}" }\`.

Events may fill in parts of the \`url\` and of \`headers\`, as in \`https://collector.example/in/%{event.dataset}\`: behind the scheme and
the host, which they never choose. A value with \`/\`, \`\\\`, \`?\`, \`#\`, \`%\`, \`&\`, \`+\`, a blank or a control character makes its event a
dead letter. With \`format: each\` and the header \`Idempotency-Key: "%{event.id}"\` an endpoint can know what it has already.

A \`url\` that is a secret itself, as those of many webhooks are, belongs into a file: \`\${secret:file:/run/secrets/hook}\`. Messages name
no more of it than its host.

What an answer means: 2xx is delivered, once the answer has come in full. 408, 425, 429 and 5xx are sent again, after the time that
\`Retry-After\` says. 401, 403 and 407 wait for ever for other credentials; a secret that came from a file (\`\${secret:file:…}\`) is read
again. Redirects are not followed, and wait for ever for another \`url\`. 413 is sent again in halves, and so are 400 and 422, until the
events are found that are to blame: these become dead letters with what the endpoint said. Other 4xx make all events of the request
dead letters; when that goes on, Penstock stops it and probes instead. \`answers\` changes these meanings, but for refused credentials.
What an answer of success says in its body is not looked at: an endpoint that reports errors there needs an output of its own.

No answer, or half of one, means that nobody knows what became of the request: it is sent again, and the endpoint may have its events
twice. Of a batch that goes out in several requests, those that were answered are not sent again.`,
  options: {
    url: {
      type: 'string',
      required: true,
      minLength: 1,
      description: 'Where to; may hold `%{field}` and `%{+yyyy-MM-dd}` behind scheme and host',
    },
    method: { type: 'string', enum: ['POST', 'PUT', 'PATCH', 'DELETE'], default: 'POST', description: 'Method of the requests' },
    format: {
      type: 'string',
      enum: FORMATS,
      default: 'ndjson',
      description: 'ndjson: an event a line; json: an array of events; each: a request for every event, which is its body',
    },
    template: {
      type: 'object',
      description:
        'JSON around the events: `"%{events}"` as a value is where the array goes, with format: each `"%{event}"` the event',
    },
    prefix: {
      type: 'string',
      description: 'Text before the first event of a request, in the place of what the format has there',
    },
    separator: { type: 'string', description: 'Text between two events, in the place of what the format has there' },
    suffix: { type: 'string', description: 'Text behind the last event of a request, in the place of what the format has there' },
    headers: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Headers of the requests; may hold `%{field}`. Content-Type is set by format where it is not set here',
    },
    secret_headers: {
      type: 'object',
      additionalProperties: { type: 'string' },
      secret: true,
      description:
        'Headers with secrets, as they are; one that came from a file is read again when it is refused and the file changes',
    },
    username: { type: 'string', minLength: 1, description: 'User for basic authentication' },
    password: {
      type: 'string',
      secret: true,
      description: 'Password of the user; read again when it is refused and its file changes',
    },
    bearer_token: {
      type: 'string',
      secret: true,
      minLength: 1,
      description: 'Sent as `Authorization: Bearer …`; read again when it is refused and its file changes',
    },
    api_key: {
      type: 'string',
      secret: true,
      minLength: 1,
      description: 'Sent in a header of its own; read again when it is refused and its file changes',
    },
    api_key_header: { type: 'string', minLength: 1, default: 'X-Api-Key', description: 'The header that api_key is sent in' },
    answers: ANSWERS,
    parallel: {
      type: 'integer',
      minimum: 1,
      maximum: 64,
      default: 1,
      description: 'Requests on their way at once; 1 keeps the order of a partition',
    },
    ...REQUEST_OPTIONS,
  },
  batch: { max_events: 1000, max_bytes: 1024 * 1024, max_ms: 1000 },
  examples: [
    { url: 'https://collector.example/in', bearer_token: 'made-up-token', compression: 'gzip' },
    {
      url: 'https://collector.example/in/%{event.dataset:-other}',
      format: 'json',
      template: { source: 'penstock', records: '%{events}' },
      headers: { 'X-Tenant': '%{organization.id:-none}' },
      answers: { 409: 'success', '5xx': 'retry' },
    },
    { url: 'https://collector.example/events', format: 'each', method: 'PUT', headers: { 'Idempotency-Key': '%{event.id}' } },
  ],
  create(options, site) {
    const way = wayOf(options)
    const url = compile(options.url, 'url', urlRules)
    const secret = secretHeaders(options, site)
    const { fixed, filled } = plainHeaders(options)
    const origin = checkUrl(url.fields.length > 0 ? url.literalPrefix : url.text, 'url', way, secret.any)
    const body = bodyFrame(options)
    const meaningOf = meanings(options.answers)
    const { method } = options
    const book = addressBook(url, filled)

    let sender: Sender | undefined
    let warned = false
    let tooLarge: ((bytes: number) => void) | undefined
    const fate = new FateMemory()
    const counts = { events: 0, requests: 0, bytes: 0 }

    const output: Output = {
      concurrency: options.parallel,
      encode(event, to) {
        const address = book.of(event.fields)
        to.json(event.fields)
        if (body.separator) to.text(body.separator)
        return address
      },
      async open(context) {
        sender = await openSender(context, way, options.parallel, origin)
        tooLarge = bytes => {
          if (!warned)
            context.log.warn({ bytes }, `${origin.host} takes no request of this size: lower batch.max_bytes or max_events`)
          warned = true
        }
      },
      async write(items, reject, signal) {
        if (!sender) throw new Error('the output is not open')
        const open = sender
        const { delivered } = await fate.write(items, reject, async fates => {
          for (const { address, indices } of byAddress(items, fates.open)) {
            const first = body.single ? indices.map(index => [index]) : [indices]
            await inParts(first, async part => {
              const slices = body.of(part.map(index => items[index] as Item))
              const answer = await open.send(addressUrl(address), {
                method,
                headers: { 'content-type': body.contentType, ...fixed, ...address.headers, ...secret.all() },
                body: slices,
                signal,
              })
              counts.requests++
              counts.bytes += lengthOf(slices)
              const meaning = meaningOf(answer.status)
              if (meaning === 'success') {
                fates.delivered(part)
                return []
              }
              if (meaning === 'credentials' && secret.renew()) return [part]
              const error = answerError(answer, meaning, secret.remedy, secret.values())
              if (meaning !== 'permanent' && meaning !== 'too_large') throw error
              if (meaning === 'too_large') tooLarge?.(lengthOf(slices))
              if (part.length > 1 && (meaning === 'too_large' || blamesContent(answer.status))) return halves(part)
              fates.refused(part, error)
              return []
            })
          }
        })
        counts.events += delivered.length
      },
      async close() {
        await sender?.close()
      },
      summary: () => ({
        title: `HTTP output ${site.id}`,
        rows: [
          ['host', origin.host],
          ['events', counts.events],
          ['requests', counts.requests],
          ['bytes', counts.bytes],
        ],
      }),
    }
    return output

    function addressUrl({ to }: Address): URL {
      const parsed = URL.parse(to ?? url.text)
      // What encode has made of an event was looked at there already.
      if (parsed?.origin !== origin.origin) throw new OptionError('url', `leads to another host than ${origin.host}`)
      return parsed
    }
  },
})
