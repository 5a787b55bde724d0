// Faults in the store: what is committed, what is durable, what is refused.
import { type Mutant, mutantsOf } from './mutant.ts'

export const state: readonly Mutant[] = [
  ...mutantsOf(
    'core/state/database.ts',
    ['core/state-durable', 'core/state-format'],
    [
      {
        name: 'commit-not-synced',
        breaks: 'A commit is confirmed before it has reached the disk',
        find: 'PRAGMA synchronous = FULL',
        replace: 'PRAGMA synchronous = NORMAL',
      },
      {
        name: 'migration-half',
        breaks: 'A migration that fails leaves half of its changes in the file',
        find: 'format.migrations.slice(version)) db.exec(sql)',
        replace: "format.migrations.slice(version)) db.exec(sql + '; COMMIT; BEGIN IMMEDIATE')",
      },
      {
        name: 'newer-format-opened',
        breaks: 'A file of a newer program is opened and written to',
        find: 'if (version > newest) {',
        replace: 'if (version < 0) {',
      },
      {
        name: 'damage-unseen',
        breaks: 'A damaged file is opened as if it were sound',
        find: "if (answer !== 'ok') throw",
        replace: "if (answer === '') throw",
      },
    ],
  ),
  ...mutantsOf(
    'core/state/serve.ts',
    ['core/state', 'core/state-durable', 'core/state-letters'],
    [
      {
        name: 'answer-before-commit',
        breaks: 'A commit is answered before it is made',
        find: "state.exec('COMMIT')\n    answer({ kind: 'done', ids: requests.map(({ id }) => id) })",
        replace: "answer({ kind: 'done', ids: requests.map(({ id }) => id) })\n    state.exec('COMMIT')",
      },
      {
        name: 'letters-refused-together',
        breaks: 'One dead letter that does not fit takes others with it',
        find: 'refused.push([request, error])',
        replace: 'for (const other of requests) refused.push([other, error])\n        break',
      },
      {
        name: 'groups-unbounded',
        breaks: 'A transaction takes on everything that waits, and outgrows the room that is kept for a full disk',
        find: 'if (count > 0 && total > GROUP_SIZE) break',
        replace: '',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/lane.ts',
    ['core/state', 'core/state-thread', 'core/state-durable'],
    [
      {
        name: 'no-rollback',
        breaks: 'Half of a transaction that failed is in the next one',
        find: 'rollBack(db)\n      if',
        replace: 'if',
      },
      {
        name: 'queue-off-by-one',
        breaks: 'A request that waits is forgotten when the one before it is done',
        find: 'queue.splice(0, requests.length)',
        replace: 'queue.splice(0, requests.length + 1)',
      },
      {
        name: 'lock-not-waited-for',
        breaks: "Another program's lock fails a commit at once",
        find: 'if (waited < BUSY_LIMIT_MS) return BUSY_RETRY_MS',
        replace: '',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/records.ts',
    ['core/state'],
    [
      {
        name: 'null-does-not-delete',
        breaks: 'A row that is deleted stays',
        find: 'if (value === null) dropRow.run(scope, key)',
        replace: 'if (value === null) continue',
      },
      {
        name: 'first-position-wins',
        breaks: 'A position that is there already is not overwritten',
        find: 'DO UPDATE SET position = excluded.position, at = excluded.at',
        replace: 'DO UPDATE SET at = excluded.at',
      },
      {
        name: 'reset-takes-neighbours',
        breaks: 'A reset of one pipeline takes the rows of others',
        find: 'scope = ? OR (scope >= ? AND scope < ?)',
        replace: 'scope = ? OR (scope >= ? OR scope < ?)',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/files.ts',
    ['core/state-format', 'core/state-folder'],
    [
      {
        name: 'no-lock',
        breaks: 'Two engines work on one state folder',
        find: 'beside ? () => {} : takeLock(folder)',
        replace: 'beside || takeLock ? () => {} : takeLock(folder)',
      },
      {
        name: 'lost-positions-begun-anew',
        breaks: 'Positions that were lost are begun anew in silence, and everything is read again',
        find: 'if (isLost && !beside) {',
        replace: 'if (isLost && beside) {',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/letters.ts',
    ['core/state-letters'],
    [
      {
        name: 'letters-unlimited',
        breaks: 'Dead letters grow beyond their limit',
        find: "if (Number(total.get()?.['bytes']) + bytes > maxBytes)",
        replace: 'if (bytes < 0)',
      },
      {
        name: 'damaged-letter-replayed',
        breaks: 'A dead letter whose bytes the disk has changed is replayed',
        find: 'if (letter && !(letter.damaged && filter.replay)) found.push(letter)',
        replace: 'if (letter) found.push(letter)',
      },
      {
        name: 'removal-takes-newer',
        breaks: 'A purge takes letters that came while it ran',
        find: '.filter(id => id <= progress.newest)',
        replace: '',
        tests: ['core/state-durable'],
      },
      {
        name: 'letter-loses-offset',
        breaks: 'A dead letter forgets where its record lay',
        find: '...[offset ?? null,',
        replace: '...[null,',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/salvage.ts',
    ['core/state-format'],
    [
      {
        name: 'salvage-stops-at-damage',
        breaks: 'One damaged page costs all dead letters behind it',
        find: 'if (!row || letterOf(row).damaged) continue',
        replace: 'if (!row || letterOf(row).damaged) break',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/encode.ts',
    ['core/state', 'core/state-letters'],
    [
      {
        name: 'bytes-given-away',
        breaks: "A caller's buffer is handed to the store's thread, with all that lies beside",
        find: 'return new Uint8Array(bytes)',
        replace: 'return bytes as Uint8Array<ArrayBuffer>',
      },
    ],
  ),
  ...mutantsOf(
    'core/state/thread.ts',
    ['core/state', 'core/state-thread'],
    [
      {
        name: 'thread-death-unseen',
        breaks: "Calls that were under way when the store's thread died wait for ever",
        find: 'settle([...calls.keys()], call => call.reject(why))',
        replace: '',
      },
      {
        name: 'close-does-not-wait',
        breaks: 'The store closes over calls that are under way',
        find: 'if (calls.size > 0) await new Promise<void>(resolve => (idle = resolve))',
        replace: '',
      },
      {
        name: 'ends-before-commit',
        breaks: 'A process may end before its last commit is answered',
        find: 'if (calls.size === 0) worker.ref()',
        replace: '',
      },
    ],
  ),
]
