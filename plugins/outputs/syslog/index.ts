// Sends events to a receiver of syslog: RFC 5424 over TLS, TCP or UDP, with JSON or CEF as the text.
import { defineOutput } from '../../../core/plugin/define.ts'
import { OptionError, PermanentError } from '../../../core/plugin/errors.ts'
import type { Output } from '../../../core/plugin/interfaces.ts'
import { TLS_OPTIONS, tlsFiles, tlsSettings } from '../../lib/http/tls.ts'
import { lengthOf, slicesOf } from '../../lib/slices.ts'
import { cefWriter } from '../../lib/syslog/cef.ts'
import { SyslogConnection } from '../../lib/syslog/connection.ts'
import { Datagrams } from '../../lib/syslog/datagrams.ts'
import { headerWriter } from '../../lib/syslog/message.ts'
import { FACILITIES, SEVERITIES } from '../../lib/syslog/severity.ts'

/** What fits into one datagram of IPv4. */
const DATAGRAM_BYTES = 65_507

interface Wire {
  send(messages: readonly Uint8Array[], signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export default defineOutput({
  summary: 'Sends events to a receiver of syslog: RFC 5424 over TLS, TCP or UDP, with JSON or CEF as the text',
  description: `
Syslog confirms nothing. What "delivered" means here: the system has taken all bytes of a batch, and the connection has lasted another
\`confirm_ms\` behind that without an error, and without the receiver closing its half. A connection that ends before sends the whole batch
again, parts of which may then arrive twice. What a receiver had in its buffers when it died later than that is lost without a sign, and so
is what went into a connection whose other side had vanished: where events must not be lost at all, use an output that is answered. Over
UDP even that much is not known; Penstock warns of it at each start.

The header has the event's \`@timestamp\`, and a severity by \`log.syslog.severity.code\`, \`log.level\` or \`event.severity\` (1
informational, 2 notice, 3 warning, 4 error). Messages are framed by their length (octet counting, RFC 6587), or with
\`framing: newline\` end in a newline, which no text holds: in JSON and CEF it is escaped. Receivers cut or refuse long messages, rsyslog
from 8 KiB on unless told otherwise: \`max_message_bytes\` makes longer ones dead letters in the place of that.

With \`payload: cef\` an event is \`CEF:0|vendor|product|version|signature|name|severity|extension\`, and its extension is made of ECS
fields: \`externalId\` \`rt\` \`start\` \`end\` \`msg\` \`act\` \`outcome\` \`cat\` \`reason\` \`suser\` \`suid\` \`src\` (\`c6a2\` for IPv6) \`spt\` \`shost\`
\`duser\` \`duid\` \`dst\` (\`c6a3\`) \`dpt\` \`dhost\` \`dvchost\` \`destinationServiceName\` \`requestClientApplication\` \`request\` \`fname\`
\`filePath\` \`fsize\` \`fileHash\`, and as \`cs1\` to \`cs4\` the data set, organisation, subject and rule. \`cef.extension\` adds keys, sets them
otherwise, or leaves them out (\`''\`). With \`header: time\`, \`framing: newline\` and the vendor and product of the SIEM agent of Defender for
Cloud Apps (\`MCAS\`, \`SIEM_Agent\`), lines begin as that agent's did.`,
  options: {
    host: { type: 'string', required: true, minLength: 1, description: 'Name or address of the receiver' },
    port: {
      type: 'integer',
      required: true,
      minimum: 1,
      maximum: 65_535,
      description: 'Port of the receiver; 6514 is usual for TLS, 514 for UDP and often for TCP',
    },
    transport: {
      type: 'string',
      enum: ['tls', 'tcp', 'udp'],
      default: 'tls',
      description: 'tcp and udp are read by everybody on the way; udp loses messages without a word',
    },
    framing: {
      type: 'string',
      enum: ['octet_counting', 'newline'],
      description:
        'Where a message ends over TLS and TCP: by its length before it (octet_counting, as when it is not set), or by a newline',
    },
    header: {
      type: 'string',
      enum: ['rfc5424', 'time'],
      default: 'rfc5424',
      description: 'rfc5424: as the standard has it; time: the time, and hostname where it is set, and nothing else',
    },
    facility: { type: 'string', enum: FACILITIES, default: 'local0', description: 'Facility of the messages' },
    severity: {
      type: 'string',
      enum: ['auto', ...SEVERITIES],
      default: 'auto',
      description: 'Severity of the messages; auto takes it from the event',
    },
    hostname: {
      type: 'string',
      minLength: 1,
      description: "Host name of the messages, this machine's when it is not set; may hold `%{field}`",
    },
    app_name: { type: 'string', minLength: 1, default: 'penstock', description: 'Name of the application; may hold `%{field}`' },
    msgid: {
      type: 'string',
      minLength: 1,
      default: '%{event.dataset:--}',
      description: 'Kind of the message, cut to 32 characters; may hold `%{field}`',
    },
    structured_data: {
      type: 'object',
      additionalProperties: { type: 'object', additionalProperties: { type: 'string' } },
      description: 'Structured data: name@enterprise → parameter → text, which may hold `%{field}`; an empty one is left out',
    },
    payload: { type: 'string', enum: ['json', 'cef'], default: 'json', description: 'What the text of a message is' },
    bom: {
      type: 'boolean',
      default: false,
      description: 'Begins the text with the byte order mark that RFC 5424 asks for, and few receivers take away',
    },
    cef: {
      type: 'object',
      description: 'How an event becomes CEF',
      properties: {
        vendor: { type: 'string', minLength: 1, description: 'Device vendor; Penstock when it is not set' },
        product: { type: 'string', minLength: 1, description: 'Device product; Microsoft 365 when it is not set' },
        version: { type: 'string', minLength: 1, description: 'Device version; 1 when it is not set' },
        signature: { type: 'string', minLength: 1, description: 'Signature; `%{event.action:-event}` when it is not set' },
        name: { type: 'string', minLength: 1, description: 'Name of the event; `%{event.action:-event}` when it is not set' },
        severity: {
          type: 'integer',
          minimum: 0,
          maximum: 10,
          description: 'Severity of all events; by event.severity when not set',
        },
        extension: {
          type: 'object',
          additionalProperties: { type: 'string' },
          description:
            "Key → text, which may hold `%{field}`; a key is left out where its event lacks the field, and where the text is ''",
        },
      },
      additionalProperties: false,
    },
    max_message_bytes: {
      type: 'integer',
      minimum: 480,
      description: 'A longer message makes its event a dead letter; without it there is a limit for UDP alone, of 65507',
    },
    confirm_ms: {
      type: 'integer',
      minimum: 0,
      maximum: 60_000,
      default: 200,
      description:
        'How long a connection must last behind a batch before it counts as delivered; longer finds more of what was lost',
    },
    parallel: {
      type: 'integer',
      minimum: 1,
      maximum: 64,
      default: 8,
      description: 'Batches on their way at once, in their order; 1 keeps that order also where they must be sent again',
    },
    ...TLS_OPTIONS,
    timeout_ms: {
      type: 'integer',
      minimum: 100,
      maximum: 3_600_000,
      default: 60_000,
      description: 'What the system may take to accept a batch; then the connection is given up, and the batch sent again',
    },
    connect_timeout_ms: {
      type: 'integer',
      minimum: 100,
      maximum: 600_000,
      default: 10_000,
      description: 'What a connection may take',
    },
  },
  // Small ones, several on their way: each waits for its confirm_ms.
  batch: { max_events: 1000, max_bytes: 512 * 1024, max_ms: 200 },
  examples: [
    { host: 'siem.example', port: 6514, ca: '/etc/penstock/siem-ca.pem' },
    { host: 'siem.example', port: 514, transport: 'tcp', framing: 'newline', max_message_bytes: 8192 },
    {
      host: 'siem.example',
      port: 6514,
      payload: 'cef',
      header: 'time',
      framing: 'newline',
      cef: { vendor: 'MCAS', product: 'SIEM_Agent', version: '0.285.10', extension: { dvc: '%{source.ip}', cs2: '' } },
    },
  ],
  create(options, site) {
    const { host, port, transport, payload, bom } = options
    if (/[\s/]|^\[/.test(host))
      throw new OptionError('host', `"${host}" is no name or address; the port has an option of its own`)
    if (options.cef && payload !== 'cef') throw new OptionError('cef', 'is for payload: cef')
    if (transport === 'udp' && options.framing) throw new OptionError('framing', 'is for TLS and TCP: a datagram is a message')
    if (transport !== 'tls') {
      for (const name of ['ca', 'client_certificate', 'client_key'] as const)
        if (options[name] !== undefined) throw new OptionError(name, 'is for transport: tls')
      if (options.tls_insecure) throw new OptionError('tls_insecure', 'is for transport: tls')
    }
    const files = tlsFiles(options)
    const head = headerWriter(options)
    const cef = payload === 'cef' ? cefWriter(options.cef ?? {}) : undefined
    const longest = Math.min(options.max_message_bytes ?? Infinity, transport === 'udp' ? DATAGRAM_BYTES : Infinity)
    const counted = transport !== 'udp' && options.framing !== 'newline'
    const ended = options.framing === 'newline'
    const mark = bom ? '\ufeff' : ''

    let wire: Wire | undefined
    const counts = { events: 0, bytes: 0 }

    const output: Output = {
      concurrency: transport === 'udp' ? 1 : options.parallel,
      encode(event, to) {
        const message = `${head(event)}${mark}${cef ? cef(event) : JSON.stringify(event.fields)}`
        // What has fewer UTF-16 units than a third of the limit cannot be longer.
        if (counted || message.length * 3 > longest) {
          const length = Buffer.byteLength(message)
          if (length > longest)
            throw new PermanentError(`the message has ${length} bytes, and ${longest} are allowed`, { code: 'PEN_SYSLOG_LENGTH' })
          if (counted) to.text(`${length} `)
        }
        to.text(message)
        if (ended) to.byte(NEWLINE)
        return undefined
      },
      open(context) {
        const { clock, log, metrics } = context
        const place = { host, port }
        if (transport === 'udp') {
          log.warn(place, 'transport: udp: nobody confirms anything, and what is lost on the way is lost without a word')
          wire = new Datagrams(host, port, clock)
          return
        }
        if (transport === 'tcp' && !/^(localhost|127\..*|::1)$/.test(host))
          log.warn(place, 'transport: tcp: everybody on the way can read and change the events')
        if (options.tls_insecure) {
          log.warn(place, 'tls_insecure: certificates are not looked at; whoever stands between reads and changes everything')
          metrics.gauge('tls_insecure', '1 where certificates are not looked at', 1)
        }
        wire = new SyslogConnection({
          ...{ host, port, clock },
          tls: transport === 'tls' ? tlsSettings(files) : undefined,
          connectMs: options.connect_timeout_ms,
          writeMs: options.timeout_ms,
          confirmMs: options.confirm_ms,
          connected: () => metrics.count('syslog_connections', 'Connections that were made to the receiver'),
        })
      },
      async write(items, _, signal) {
        if (!wire) throw new Error('the output is not open')
        const messages = transport === 'udp' ? items.map(({ bytes }) => bytes) : slicesOf(items)
        await wire.send(messages, signal)
        counts.events += items.length
        counts.bytes += lengthOf(messages)
      },
      async close() {
        await wire?.close()
      },
      summary: () => ({
        title: `Syslog output ${site.id}`,
        rows: [
          ['receiver', `${host}:${port}`],
          ['events', counts.events],
          ['bytes', counts.bytes],
        ],
      }),
    }
    return output
  },
})

const NEWLINE = 10
