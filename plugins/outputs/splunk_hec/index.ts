// Sends events to Splunk's HTTP Event Collector, and waits until an indexer has acknowledged them.
import { defineOutput } from '../../../core/plugin/define.ts'
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Item, Output } from '../../../core/plugin/interfaces.ts'
import { FateMemory, halves, inParts } from '../../lib/request/fates.ts'
import { checkUrl, REQUEST_OPTIONS, wayOf } from '../../lib/request/options.ts'
import { type Answer, openSender, type Sender } from '../../lib/request/sender.ts'
import { type Secret, secretOf } from '../../lib/secret.ts'
import { lengthOf, slicesOf } from '../../lib/slices.ts'
import { Acks } from './acks.ts'
import { judge, noAckId } from './answers.ts'
import { metadata, PLACE_OPTIONS, SOURCETYPES } from './metadata.ts'

const EVENT_PATH = '/services/collector/event'
const ACK_PATH = '/services/collector/ack'

export default defineOutput({
  summary: "Sends events to Splunk's HTTP Event Collector, with indexer acknowledgement",
  description: `
An event gets its \`@timestamp\` as Splunk's time, and a sourcetype by its \`event.dataset\`: those of the Splunk Add-on for Microsoft
Office 365 where it has one (${Object.entries(SOURCETYPES)
    .map(([dataset, sourcetype]) => `\`${dataset}\` → \`${sourcetype}\``)
    .join(
      ', ',
    )}), else \`_json\`. \`datasets\` says otherwise for a data set, also its index, source and host; the add-on's further
sourcetypes are \`o365:cas:api\`, \`o365:graph:api\`, \`o365:service:status\`, \`o365:service:healthIssue\`, \`o365:service:message\`,
\`o365:metadata\` and the older \`o365:reporting:messagetrace\`. The add-on's searches read Microsoft's own record: send that in the place
of the ECS document with \`event_field: event.original\` (the \`ecs\` filter keeps it with \`keep_original\`) or \`event_field: o365.audit\`.

With \`ack\` (the default) a batch counts as delivered when Splunk says that an indexer has it: the token needs indexer acknowledgement
("useACK"). Each batch on its way has a channel of its own, so that \`parallel\` times \`batch.max_events\` events are waited for at once. In
front of several Splunks, a load balancer must keep the requests of a channel together. What is not acknowledged in
\`ack_timeout_ms\` is sent again, and may be there twice: the event's id stands in the indexed field \`event_id\` (\`id_field\`), to find such
events by. Without \`ack\`, what Splunk has taken and not written yet is lost when it crashes.

An event that HEC names as wrong (\`invalid-event-number\`) is sent alone, and becomes a dead letter when it is refused alone; the others are
sent again. Refused tokens (codes 1 to 4), a missing index (7) and a busy server (9) are waited for, for ever.

No real Splunk has been seen by this output so far: its tests speak with a simulator, written from what is generally known of HEC.`,
  options: {
    url: {
      type: 'string',
      required: true,
      minLength: 1,
      description: `Where the collector is, such as https://splunk.example:8088; ${EVENT_PATH} is added where there is no path`,
    },
    token: {
      type: 'string',
      required: true,
      secret: true,
      minLength: 1,
      description: 'Token of the collector; read again when it is refused and its file changes',
    },
    ...PLACE_OPTIONS,
    datasets: {
      type: 'object',
      additionalProperties: { type: 'object', properties: PLACE_OPTIONS, additionalProperties: false },
      description: 'Sourcetype, index, source, host and event_field of single data sets, by event.dataset',
    },
    fields: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Further indexed fields; their texts may hold `%{field}`',
    },
    id_field: { type: 'string', minLength: 1, default: 'event_id', description: "Indexed field that holds the event's id" },
    ack: {
      type: 'boolean',
      default: true,
      description:
        'Waits until an indexer has acknowledged what was sent; false loses what Splunk loses before it has written it',
    },
    ack_poll_ms: { type: 'integer', minimum: 10, default: 1000, description: 'How often Splunk is asked for an acknowledgement' },
    ack_timeout_ms: {
      type: 'integer',
      minimum: 100,
      default: 300_000,
      description: 'What is not acknowledged for so long is sent again',
    },
    parallel: {
      type: 'integer',
      minimum: 1,
      maximum: 256,
      default: 8,
      description: 'Batches on their way, or waited for, at once',
    },
    ...REQUEST_OPTIONS,
  },
  batch: { max_events: 1000, max_bytes: 1024 * 1024, max_ms: 1000 },
  examples: [
    { url: 'https://splunk.example:8088', token: '00000000-0000-0000-0000-000000000000' },
    {
      url: 'https://splunk.example:8088',
      token: '00000000-0000-0000-0000-000000000000',
      index: 'm365',
      source: 'penstock',
      datasets: {
        'o365.audit': { event_field: 'event.original' },
        'azure.signinlogs': { sourcetype: 'azure:signin', index: 'entra' },
      },
      fields: { tenant: '%{organization.name:-none}' },
      compression: 'gzip',
    },
  ],
  create(options, site) {
    const way = wayOf(options)
    const base = checkUrl(options.url, 'url', way, true)
    if (base.search) throw new OptionError('url', 'must hold no query; the token has an option of its own')
    const secret: Secret = secretOf(options.token, site.secretFile(options.token))
    if (/[^\x20-\x7e]/.test(options.token))
      throw new OptionError('token', 'has a character that a header must not hold (a newline?)')
    const meta = metadata(options)
    const eventUrl = new URL(base.pathname === '/' ? EVENT_PATH : base.pathname, base)
    const ackUrl = ackUrlOf(eventUrl, options.ack)

    let sender: Sender | undefined
    let acks: Acks | undefined
    const fate = new FateMemory()
    const counts = { events: 0, requests: 0, bytes: 0 }

    const output: Output = {
      concurrency: options.parallel,
      encode(event, to) {
        meta.write(event, to)
        return undefined
      },
      async open(context) {
        sender = await openSender(context, way, options.parallel, base)
        if (!options.ack) return
        acks = new Acks({
          clock: context.clock,
          pollMs: options.ack_poll_ms,
          timeoutMs: options.ack_timeout_ms,
          ask(channel, ids, signal) {
            const url = new URL(ackUrl)
            url.searchParams.set('channel', channel)
            return post(url, [Buffer.from(JSON.stringify({ acks: ids }))], channel, signal)
          },
        })
      },
      async write(items, reject, signal) {
        const { delivered } = await fate.write(items, reject, fates =>
          inParts([fates.open], async part => {
            const blamed = acks ? await acks.through(channel => send(part, channel)) : await send(part, undefined)
            if (!blamed) {
              fates.delivered(part)
              return []
            }
            if (part.length === 1) {
              fates.refused(part, blamed.error)
              return []
            }
            const { number } = blamed
            if (number === undefined || number < 0 || number >= part.length) return halves(part)
            // The one alone shows whether it is the one.
            return [part.toSpliced(number, 1), [part[number] as number]]
          }),
        )
        counts.events += delivered.length

        /** What is wrong with an event of these, or undefined once Splunk has them all. Rejects for all that may pass later. */
        async function send(part: readonly number[], channel: string | undefined): Promise<Blamed | undefined> {
          if (channel !== undefined) await acks?.prepare(channel, signal)
          const slices = slicesOf(part.map(index => items[index] as Item))
          let answer = await post(eventUrl, slices, channel, signal)
          let verdict = judge(answer, { eventsChooseIndex: meta.eventsChooseIndex, token: secret.value })
          if ((answer.status === 401 || answer.status === 403) && secret.renew()) {
            answer = await post(eventUrl, slices, channel, signal)
            verdict = judge(answer, { eventsChooseIndex: meta.eventsChooseIndex, token: secret.value })
          }
          if (verdict.kind === 'wait') throw verdict.error
          if (verdict.kind === 'too_large') return { error: verdict.error, number: undefined }
          if (verdict.kind === 'blames') return verdict
          counts.requests++
          counts.bytes += lengthOf(slices)
          if (channel === undefined) return undefined
          if (verdict.ackId === undefined) {
            acks?.unsure()
            throw noAckId(answer.host)
          }
          await acks?.wait(channel, verdict.ackId, answer.host, signal)
          return undefined
        }
      },
      async close() {
        await sender?.close()
      },
      summary: () => ({
        title: `Splunk output ${site.id}`,
        rows: [
          ['host', base.host],
          ['events', counts.events],
          ['requests', counts.requests],
          ['bytes', counts.bytes],
        ],
      }),
    }
    return output

    function post(url: URL, body: readonly Uint8Array[], channel: string | undefined, signal: AbortSignal): Promise<Answer> {
      if (!sender) throw new Error('the output is not open')
      return sender.send(url, {
        method: 'POST',
        headers: {
          authorization: `Splunk ${secret.value}`,
          'content-type': 'application/json',
          ...(channel !== undefined && { 'x-splunk-request-channel': channel }),
        },
        body,
        signal,
      })
    }
  },
})

interface Blamed {
  readonly error: Error
  readonly number: number | undefined
}

/** The questions go where the events go. */
function ackUrlOf(eventUrl: URL, wanted: boolean): URL {
  if (eventUrl.pathname.endsWith('/services/collector') || /\/services\/collector\/event(\/1\.0)?$/.test(eventUrl.pathname)) {
    const [before] = eventUrl.pathname.split('/services/collector')
    return new URL(before + ACK_PATH, eventUrl)
  }
  if (wanted)
    throw new OptionError('url', `with ack the path must end in ${EVENT_PATH}, so that ${ACK_PATH} can be found beside it`)
  return eventUrl
}
