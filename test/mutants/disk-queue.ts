// Faults in disk queues: what is settled too early, forgotten, sent out of order, counted wrong.
import { type Mutant, mutantsOf } from './mutant.ts'

export const diskQueue: readonly Mutant[] = [
  ...mutantsOf(
    'core/flow/disk-queue.ts',
    ['core/disk-queue'],
    [
      {
        name: 'queue-forgets-sent',
        breaks: 'A slice is taken out of its queue when it is sent on, before it is delivered',
        find: 'this.#options.stream.stream.write(items)',
        replace: 'this.#options.stream.stream.write(items)\n    this.#removed.push(slice)',
      },
      {
        name: 'queue-out-of-order',
        breaks: 'What has just come goes to the output before the backlog',
        find: '!this.#reading && this.#next === slice.id && ',
        replace: '',
      },
      {
        name: 'queue-full-settles',
        breaks: 'What had no room in a full queue counts as stored',
        find: 'this.#pending.splice(0, written)',
        replace: 'this.#pending.splice(0)',
      },
      {
        name: 'queue-sure-of-old',
        breaks: 'What an earlier run may have sent from its queue is sent as if it were new',
        find: 'again || isSent',
        replace: 'again',
      },
      {
        name: 'queue-never-sure',
        breaks: 'All of a backlog counts as perhaps sent before',
        find: 'if (isSent) this.#old.sent -= cost',
        replace: '',
      },
      {
        name: 'queue-in-memory',
        breaks: 'A backlog is read into memory as a whole',
        find: 'file.read(this.#next, window - this.#loaded)',
        replace: 'file.read(this.#next, Number.POSITIVE_INFINITY)',
      },
      {
        name: 'queue-gives-up',
        breaks: 'A disk that is full ends the pipeline',
        find: 'if (!PASSING.has(errorCode(error))) {',
        replace: 'if (errorCode(error)) {',
      },
      {
        name: 'queue-never-drained',
        breaks: 'A pipeline whose inputs have ended waits for its queue for ever',
        find: 'if (this.#waiting === 0) this.#drained?.()',
        replace: '',
      },
      {
        name: 'queue-keeps-delivered',
        breaks: 'What was delivered at the end of a run stays in the queue and comes again',
        find: 'this.#totals = await this.#options.file.write([], this.#taken())',
        replace: '',
        tests: ['core/disk-queue'],
      },
    ],
  ),
  ...mutantsOf(
    'core/flow/pipeline.ts',
    ['core/disk-queue'],
    [
      {
        name: 'queue-not-routed',
        breaks: 'Events in a disk queue are in flight without having been routed',
        find: 'routed: stream.counts.routed + (queue?.waiting ?? 0)',
        replace: 'routed: stream.counts.routed',
      },
      {
        name: 'queue-not-awaited',
        breaks: 'A pipeline whose inputs have ended does not wait for its queues',
        find: 'await Promise.all(this.#outputs.map(({ queue }) => queue?.drained()))',
        replace: '',
      },
    ],
  ),
  ...mutantsOf(
    'core/flow/parcel.ts',
    ['core/disk-queue'],
    [
      {
        name: 'parcel-offset-lost',
        breaks: 'A dead letter out of a queue does not say where its record lay',
        find: 'offsets.push(one.offset ?? null)',
        replace: 'offsets.push(null)',
      },
      {
        name: 'parcel-gap',
        breaks: 'What a gate held back stands between the items of a queue',
        find: 'const bytes = new Pieces(0)',
        replace: 'const bytes = new Pieces(1_000)',
      },
      {
        name: 'parcel-whole-source',
        breaks: 'The sources of the records of a slice are mixed up',
        find: 'from.push(sources.add(own, 0, own.length))',
        replace:
          'from.push(from.length === 0 ? 0 : (from.at(-1) ?? 0) + (kept.at(-1) ?? 0))\n    sources.add(own, 0, own.length)',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/queue-serve.ts',
    ['core/disk-queue-file'],
    [
      {
        name: 'queue-unbounded',
        breaks: 'A disk queue takes more than its max_bytes',
        find: 'if (events > 0 && bytes + slice.packed.length > maxBytes) break',
        replace: '',
      },
      {
        name: 'queue-never-shrinks',
        breaks: 'The file of a queue stays as large as its largest backlog',
        find: "onFile({ id: 0, op: 'shrink' })",
        replace: '',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/queue-file.ts',
    ['core/disk-queue-file'],
    [
      {
        name: 'queue-damage-unseen',
        breaks: 'A slice that the disk has changed is delivered as it is',
        find: '!== sum) throw lost()',
        replace: '!== sum && packed.length < 0) throw lost()',
      },
    ],
  ),
]
