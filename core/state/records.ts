// Positions and plugins' rows: what is done with state.db.
import type { DatabaseSync } from 'node:sqlite'
import type { PositionText, RowText, Stored } from './protocol.ts'

/** The first text after all texts that begin with `prefix`, in the order of UTF-8; undefined when there is none. */
export function after(prefix: string): string | undefined {
  const points = Array.from(prefix, char => char.codePointAt(0) as number)
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    // Surrogates are no characters.
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
  }
  return undefined
}

/** The statements on an open state.db. All but `apply` and `reset` only read; these two want a transaction around them. */
export function records(db: DatabaseSync) {
  const putPosition = db.prepare(
    'INSERT INTO positions VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position, at = excluded.at',
  )
  const dropPosition = db.prepare('DELETE FROM positions WHERE pipeline = ? AND input = ? AND partition = ?')
  const putRow = db.prepare('INSERT INTO rows VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value')
  const dropRow = db.prepare('DELETE FROM rows WHERE scope = ? AND key = ?')
  const positionsOf = db.prepare('SELECT partition, position FROM positions WHERE pipeline = ? AND input = ? ORDER BY partition')
  const everyPosition = db.prepare('SELECT * FROM positions ORDER BY pipeline, input, partition')
  // From one scope to the next: a ledger has a million rows, and none of them is looked at.
  const everyScope = db.prepare(
    'WITH RECURSIVE found(scope) AS (SELECT min(scope) FROM rows UNION ALL ' +
      'SELECT (SELECT min(scope) FROM rows WHERE scope > found.scope) FROM found WHERE found.scope IS NOT NULL) ' +
      'SELECT scope FROM found WHERE scope IS NOT NULL',
  )
  const row = db.prepare('SELECT value FROM rows WHERE scope = ? AND key = ?')
  const rowsFrom = db.prepare('SELECT key, value FROM rows WHERE scope = ? AND key >= ? AND key IS NOT ? ORDER BY key LIMIT ?')
  const rowsBetween = db.prepare(
    'SELECT key, value FROM rows WHERE scope = ? AND key >= ? AND key IS NOT ? AND key < ? ORDER BY key LIMIT ?',
  )

  return {
    apply(positions: readonly PositionText[], rows: readonly RowText[], blobs: readonly Uint8Array[], at: string): void {
      for (const [pipeline, input, partition, position] of positions) {
        if (position === null) dropPosition.run(pipeline, input, partition)
        else putPosition.run(pipeline, input, partition, JSON.stringify(position), at)
      }
      for (const [scope, key, value, blob] of rows) {
        if (value === null) dropRow.run(scope, key)
        else putRow.run(scope, key, blob ? (blobs[value as number] as Uint8Array) : JSON.stringify(value))
      }
    },

    positions(pipeline: string, input: string): string {
      const found = positionsOf.all(pipeline, input)
      return `[${found.map(({ partition, position }) => `[${JSON.stringify(partition)},${position}]`).join()}]`
    },

    allPositions(): string {
      const line = ({ pipeline, input, partition, position, at }: Record<string, unknown>) =>
        `[${JSON.stringify([pipeline, input, partition]).slice(1, -1)},${position},${JSON.stringify(at)}]`
      return `[${everyPosition.all().map(line).join()}]`
    },

    /** Every `pipeline/step` that has rows. */
    scopes(): string {
      return JSON.stringify(everyScope.all().map(({ scope }) => scope))
    },

    get(scope: string, key: string): Stored | undefined {
      return row.get(scope, key)?.['value'] as Stored | undefined
    },

    list(scope: string, prefix: string, behind: string | null, limit: number): (readonly [key: string, value: Stored])[] {
      const end = after(prefix)
      const from = behind !== null && Buffer.compare(Buffer.from(behind), Buffer.from(prefix)) > 0 ? behind : prefix
      const found =
        end === undefined ? rowsFrom.all(scope, from, behind, limit) : rowsBetween.all(scope, from, behind, end, limit)
      return found.map(({ key, value }) => [key as string, value as Stored])
    },

    reset(pipeline: string, step: string | undefined): number {
      const scope = step === undefined ? pipeline : `${pipeline}/${step}`
      const positions =
        step === undefined
          ? db.prepare('DELETE FROM positions WHERE pipeline = ?').run(pipeline)
          : db.prepare('DELETE FROM positions WHERE pipeline = ? AND input = ?').run(pipeline, step)
      const rows = db
        .prepare('DELETE FROM rows WHERE scope = ? OR (scope >= ? AND scope < ?)')
        .run(scope, `${scope}/`, after(`${scope}/`) as string)
      return Number(positions.changes) + Number(rows.changes)
    },
  }
}
export type Records = ReturnType<typeof records>
