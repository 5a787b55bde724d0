// Faults in the Splunk output: events that count as delivered although no indexer has them.
import { type Mutant, mutantsOf } from './mutant.ts'

const OUTPUT = ['plugins/splunk-hec']

export const splunkHec: readonly Mutant[] = [
  ...mutantsOf('plugins/outputs/splunk_hec/index.ts', OUTPUT, [
    {
      name: 'hec-ack-not-waited-for',
      breaks: 'A batch counts as delivered before an indexer has it',
      find: 'await acks?.wait(channel, verdict.ackId, answer.host, signal)',
      replace: '',
    },
    {
      name: 'hec-no-ackid-is-fine',
      breaks: 'Events are taken without an ackId, and count as delivered',
      find: 'throw noAckId(answer.host)',
      replace: 'return undefined',
    },
    {
      name: 'hec-named-event-buried',
      breaks: 'The event that the collector names becomes a dead letter without having been refused alone',
      find: 'return [part.toSpliced(number, 1), [part[number] as number]]',
      replace: 'fates.refused([part[number] as number], blamed.error)\n            return [part.toSpliced(number, 1)]',
    },
    {
      name: 'hec-others-forgotten',
      breaks: 'Of a batch with a wrong event the others are not sent',
      find: 'return [part.toSpliced(number, 1), [part[number] as number]]',
      replace: 'fates.delivered(part.toSpliced(number, 1))\n            return [[part[number] as number]]',
    },
    {
      name: 'hec-not-prepared',
      breaks: 'A token without acknowledgement has its events indexed at each try',
      find: 'if (channel !== undefined) await acks?.prepare(channel, signal)',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/outputs/splunk_hec/acks.ts', OUTPUT, [
    {
      name: 'hec-one-channel',
      breaks: 'After a restart of Splunk the ack of a new batch is taken for that of a lost one',
      find: 'const channel = this.#idle.pop() ?? randomUUID().toUpperCase()',
      replace: 'const channel = (this.#idle[0] ??= randomUUID().toUpperCase())',
    },
    {
      name: 'hec-channel-again',
      breaks: 'A channel is used again although it is not known what Splunk has of it',
      find: 'const result = await work(channel)\n    this.#idle.push(channel)',
      replace: 'const result = await work(channel).finally(() => this.#idle.push(channel))',
    },
    {
      name: 'hec-waits-for-ever',
      breaks: 'An ack that never comes is waited for without an end',
      find: 'if (now < until) continue',
      replace: 'if (until > 0) continue',
    },
  ]),
  ...mutantsOf('plugins/outputs/splunk_hec/answers.ts', OUTPUT, [
    {
      name: 'hec-false-is-true',
      breaks: 'An ack that is false counts as one',
      find: 'return acks[String(ackId)] === true',
      replace: 'return String(ackId) in acks',
    },
    {
      name: 'hec-page-is-success',
      breaks: 'A page that answers 200 in the place of the collector is a success',
      find: "if (meaning === 'success')\n    return wait(",
      replace: "if (meaning === 'success') return { kind: 'taken', ackId: undefined }\n  if (!meaning)\n    return wait(",
    },
    {
      name: 'hec-token-buries',
      breaks: 'A refused token makes dead letters',
      find: '    case 4:\n',
      replace: '      return blames()\n    case 4:\n      return blames()\n',
    },
  ]),
  ...mutantsOf('plugins/outputs/splunk_hec/metadata.ts', OUTPUT, [
    {
      name: 'hec-time-in-milliseconds',
      breaks: 'Splunk is told of times far in the future',
      find: '(time / 1000).toFixed(3)',
      replace: 'time',
    },
    {
      name: 'hec-any-index',
      breaks: 'Events choose any index',
      find: '/^[a-z0-9_][a-z0-9_-]{0,254}$/.test(text) ?',
      replace: "text !== '' ?",
    },
  ]),
]
