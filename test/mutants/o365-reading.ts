// Faults in how o365_activity lists, reads and remembers: content that is passed over, read twice, or lost without a word.
import { type Mutant, mutantsOf } from './mutant.ts'

const FOLDER = 'plugins/inputs/o365_activity'
const ACTIVITY = 'plugins/o365-activity'
const ONCE = `${ACTIVITY} > row 45: with a clock that differs by years, every record of every tenant arrives once; a second start reads nothing again`
const EVERYTHING = `${ACTIVITY} > rows 31, 32, 34, 35, 36, 37, 39, 42: in the scenario everything nothing is lost, nothing invented, and what was never there is named`
const KILLED = `${ACTIVITY} > killed again and again, it loses nothing, and reads what it had read of a blob over`
const OVERDUE = `${ACTIVITY} > row 44: what was not listed within seven days is named with its interval, and it goes on`
const LATE = `${ACTIVITY} > row 40: a blob that appears hours after it was made, among older ones, is found by listing everything again`
const GROWING = `${ACTIVITY} > row 41: a blob that grows after it was read is read once more, behind what came before`
const CHANGED =
  'plugins/o365-tenants > a tenant whose settings change in the middle of its blobs loses nothing, and goes on where it was'
const HELD = 'plugins/o365-complete > a blob that cannot be fetched holds the watermark back, until it is given up and named'
const SECOND =
  'plugins/o365-ids > one id with two contents is two events, also after a restart, in whatever order they come again'
const SHARED =
  'plugins/o365-ids > records that share an id, or have none, all go on, with 0 workers, and dedupe takes none of them'
const RECONCILE =
  'plugins/o365-reconcile > it finds no gap after a run; three blobs taken out of the ledger are named, and exactly these are fetched'
const MATCHED = 'plugins/pipelines > what DLP rules matched is taken out by the input itself, whatever filters follow'

export const o365Reading: readonly Mutant[] = [
  ...mutantsOf(
    `${FOLDER}/known-ids.ts`,
    [SECOND],
    [
      {
        name: 'conflict-is-repeat',
        breaks: 'Another content under an id that is known counts as the same record',
        find: 'if (known !== false) continue',
        replace: 'continue',
      },
      {
        name: 'second-id-not-stored',
        breaks: 'A second id is forgotten with the process, and its conflict counted again',
        find: 'conflicts++\n      added.push(',
        replace: 'conflicts++\n      ;[].push(',
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/record-head.ts`,
    ['plugins/o365-ids > the head of a record is what its JSON says, however it is written'],
    [
      {
        name: 'empty-id-is-an-id',
        breaks: 'Records whose Id is empty count as one and the same',
        find: "typeof Id === 'string' && Id !== '' ? Id",
        replace: "typeof Id === 'string' ? Id",
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/blob-reading.ts`,
    [EVERYTHING],
    [
      {
        name: 'lost-blob-not-told',
        breaks: 'Content that cannot be had is closed without a dead letter',
        find: 'await this.#send({ bytes: NOTHING, ends: new Uint32Array(0), count: 0, offset: at, faults: [fault] })',
        replace: 'void fault',
      },
      {
        name: 'closed-without-rows',
        breaks: 'A blob that was read is not closed in the ledger',
        find: '...(this.#options.close(fate) ?? [])]',
        replace: ']',
        tests: [ONCE],
      },
      {
        name: 'second-ids-not-given',
        breaks: 'Records that share an id lose their second ids on the way into the pipeline, and dedupe takes them out',
        find: '...(examined.ids && { ids: examined.ids }),',
        replace: '',
        tests: [SHARED],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/fetching.ts`,
    [GROWING],
    [
      {
        name: 'redact-skipped',
        breaks: 'What DLP rules matched goes into the pipeline',
        find: 'settings.keepMatchedValues ? chunk : redactedChunk(chunk)',
        replace: 'chunk',
        tests: [MATCHED],
      },
      {
        name: 'resume-forgotten',
        breaks: 'A blob that was read in part, or has grown, is read from its beginning',
        find: 'state.pushed.get(partition) ?? (look ? look.progress : positions.get(partition))',
        replace: 'undefined',
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/ledger.ts`,
    [KILLED],
    [
      {
        name: 'listed-row-not-written',
        breaks: 'What was listed and not yet read is forgotten with the process',
        find: 'await this.#rows.put([...fresh.values()].map(blob => this.#keys.opening(blob)))',
        replace: '',
      },
      {
        name: 'refill-skips',
        breaks: 'Open blobs of an earlier run are not fetched',
        find: 'if (blob && !this.#open.has(blob.hash)) this.#wait(blob)',
        replace: '',
      },
      {
        name: 'closed-row-not-written',
        breaks: 'Blobs that were acknowledged are taken for new ones when they are listed again',
        find: '[this.#keys.closed(blob), fateValue(blob, fate)],',
        replace: '',
        tests: [ONCE],
      },
      {
        name: 'watermark-ignores-open',
        breaks: 'The watermark goes on over content that was not read',
        find: 'blob.created < mark && !this.#seconds.has(blob.hash)',
        replace: 'blob.created < 0',
        tests: [HELD],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/listing.ts`,
    [EVERYTHING],
    [
      {
        name: 'sweep-skipped',
        breaks: 'Content that appears hours late is never seen',
        find: 'sweep ? Math.max(first, earliest) : cursor - settings.overlapMs',
        replace: 'cursor - settings.overlapMs',
        tests: [LATE],
      },
      {
        name: 'gap-not-told',
        breaks: 'Time that was not listed within seven days is passed over without a word',
        find: 'if (cursor !== undefined && cursor < earliest) await',
        replace: 'if (cursor === earliest) await',
        tests: [OVERDUE],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/roster.ts`,
    [CHANGED],
    [
      {
        name: 'changed-tenant-forgets',
        breaks: 'A tenant whose settings changed forgets what it has on its way, and reads it twice',
        find: 'this.#states.get(key) ?? new TenantState(',
        replace: 'new TenantState(',
      },
      {
        name: 'changed-tenant-goes-on',
        breaks: 'A tenant whose settings changed is read with its old ones',
        find: 'if (next && JSON.stringify(next) === JSON.stringify(entry.tenant)) continue',
        replace: 'if (next) continue',
        tests: ['plugins/o365-tenants > the tenants file is read again when it changes; one with a mistake changes nothing'],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/reconcile/compare.ts`,
    [RECONCILE],
    [
      {
        name: 'missing-is-acknowledged',
        breaks: 'Content that the ledger does not know counts as acknowledged: reconcile proves nothing',
        find: "if (known.state !== 'acknowledged') return",
        replace: "if (known.state === 'waiting') return",
      },
    ],
  ),
]
