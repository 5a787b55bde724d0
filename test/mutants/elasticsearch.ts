// Faults in how the output elasticsearch takes answers, and in what it believes to be there already.
import { type Mutant, mutantsOf } from './mutant.ts'

const FOLDER = 'plugins/outputs/elasticsearch'
const OUTPUT = 'plugins/elasticsearch-output'
const WAITS =
  'row 54: a blocked index and a server that is ill wait; a missing index waits, then is a dead letter, or at once where so set'
const ROLLOVER = 'row 60: a rollover between two tries makes no second document'
const UNKNOWN =
  'rows 57, 58: answers that are cut off, lost, no JSON, or of another length: nothing is lost, nothing is there twice'

export const elasticsearch: readonly Mutant[] = [
  ...mutantsOf(
    `${FOLDER}/bulk.ts`,
    [`${OUTPUT} > ${WAITS}`],
    [
      {
        name: 'block-is-permanent',
        breaks: 'An index that a full disk has blocked fills the dead letters',
        find: " || type === 'cluster_block_exception'",
        replace: '',
      },
      {
        name: 'conflict-is-refused',
        breaks: 'What was delivered before becomes a dead letter',
        find: 'if (status === 409) return THERE',
        replace: '',
        tests: [`${OUTPUT} > row 59: what is there already counts as delivered, and is no dead letter`],
      },
      {
        name: 'failure-store-is-delivered',
        breaks: 'A document in a failure store counts as created',
        find: "if (part['failure_store'] !== 'used') return",
        replace: 'return',
        tests: [`${OUTPUT} > a document in a failure store counts apart, and is a dead letter where so set`],
      },
      {
        name: 'bytes-beside-each-other-swapped',
        breaks: 'A document goes out under another one’s id',
        find: 'open.end === start',
        replace: 'true',
        tests: [`${OUTPUT} > each event is created once under its id, in the stream of its data set`],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/writing.ts`,
    [`${OUTPUT} > ${UNKNOWN}`],
    [
      {
        name: 'answers-not-counted',
        breaks: 'An answer with more items than were sent is believed',
        find: 'if (parts.length !== sent.length)',
        replace: 'if (parts.length < 0)',
      },
      {
        name: 'repeats-not-looked-up',
        breaks: 'After a rollover what is sent again is there twice',
        find: '(item.again || replace ? [index] : [])',
        replace: '[]',
        tests: [`${OUTPUT} > ${ROLLOVER}`],
      },
      {
        name: 'es-refused-key-kept',
        breaks: 'A new key in its file is never read',
        find: 'connection.renewed()',
        replace: 'connection === undefined',
        tests: [`${OUTPUT} > row 56: a refused key waits, is read again from its file, and nothing becomes a dead letter`],
      },
      {
        name: 'too-large-is-down',
        breaks: 'A request that is too large is sent again for ever',
        find: 'if (status === 413) return new TooLargeError',
        replace: 'if (status === 413) return new RetryableError',
        tests: [`${OUTPUT} > row 55: a request that is too large is halved; one event that is too large is a dead letter`],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/look-up.ts`,
    [`${OUTPUT} > ${ROLLOVER}`],
    [
      {
        name: 'looked-up-without-refresh',
        breaks: 'What was written a moment ago is not found by the look-up',
        find: 'if (refreshed.status === 404) continue',
        replace: 'continue',
      },
    ],
  ),
  ...mutantsOf(
    'core/flow/output-stream.ts',
    ['core/again > after a write that threw, its items may be there; those of others are not in doubt'],
    [
      {
        name: 'lost-answer-forgotten',
        breaks: 'A destination is not told that it may have an item already',
        find: 'for (const item of items) item.unsure = true',
        replace: '',
      },
      {
        name: 'patience-ends',
        breaks: 'An event becomes a dead letter because the destination is busy',
        find: ' && !(error instanceof RetryableError && error.patient)',
        replace: '',
        tests: ['core/again > an item that a patient error refuses is tried for ever, whatever else is delivered'],
      },
    ],
  ),
  ...mutantsOf(
    'core/flow/begins.ts',
    ['core/again > what a partition begins with may have been sent before, as much as may be on its way at once'],
    [
      {
        name: 'beginning-too-short',
        breaks: 'Of what an earlier run may have sent only the first chunk is told',
        find: 'return before <= this.#cap',
        replace: 'return before === 0',
      },
      {
        name: 'beginning-without-end',
        breaks: 'Everything may have been sent before, and is looked up',
        find: 'return before <= this.#cap',
        replace: 'return true',
      },
    ],
  ),
]
