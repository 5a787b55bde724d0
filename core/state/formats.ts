// The tables of state.db, letters.db and the disk queues. A format is never changed once it was released: add a migration at the end.

/** A kind of file: what it is called, how it is known, and how it came to its present tables. */
export interface Format {
  /** Stands in the header of every such file, so that no other SQLite file is taken for it. */
  readonly applicationId: number
  /** What to run on the empty file, outside of a transaction. */
  readonly before: string
  /** The SQL that leads from format n to format n + 1, at index n. */
  readonly migrations: readonly string[]
}

export const STATE_FORMAT: Format = {
  applicationId: 0x50454e31,
  before: '',
  migrations: [
    `CREATE TABLE positions (
      pipeline TEXT NOT NULL, input TEXT NOT NULL, partition TEXT NOT NULL,
      position TEXT NOT NULL, -- JSON
      at TEXT NOT NULL,
      PRIMARY KEY (pipeline, input, partition)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE rows (
      scope TEXT NOT NULL, key TEXT NOT NULL,
      value ANY NOT NULL, -- TEXT: JSON. BLOB: bytes
      PRIMARY KEY (scope, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE reserve (bytes BLOB NOT NULL) STRICT;`,
  ],
}

export const LETTERS_FORMAT: Format = {
  applicationId: 0x50454e32,
  // A purge must give the disk its room back.
  before: 'PRAGMA auto_vacuum = INCREMENTAL',
  // Marks are a table of their own: marking would otherwise rewrite every page of letters. The totals are kept by triggers, so that
  // they hold whoever removes letters. The bytes come last: what only reads the columns before them does not touch their pages.
  migrations: [
    `CREATE TABLE letters (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      at TEXT NOT NULL, pipeline TEXT NOT NULL, step TEXT NOT NULL, stage TEXT NOT NULL, input TEXT NOT NULL, code TEXT NOT NULL,
      size INTEGER NOT NULL, sum INTEGER NOT NULL, tries INTEGER NOT NULL, length INTEGER NOT NULL, "offset" INTEGER,
      event TEXT, sha256 TEXT, error TEXT NOT NULL,
      meta TEXT NOT NULL, -- JSON
      bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE marks (id INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE totals (
      pipeline TEXT NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL,
      PRIMARY KEY (pipeline, step, code)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE reserve (bytes BLOB NOT NULL) STRICT;
    CREATE TRIGGER letter_added AFTER INSERT ON letters BEGIN
      INSERT INTO totals VALUES (new.pipeline, new.step, new.code, 1, new.size)
        ON CONFLICT DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER letter_removed AFTER DELETE ON letters BEGIN
      UPDATE totals SET count = count - 1, bytes = bytes - old.size
        WHERE pipeline = old.pipeline AND step = old.step AND code = old.code;
      DELETE FROM totals WHERE pipeline = old.pipeline AND step = old.step AND code = old.code AND count = 0;
      DELETE FROM marks WHERE id = old.id;
    END;`,
  ],
}

export const QUEUE_FORMAT: Format = {
  applicationId: 0x50454e33,
  // Large pages: a slice takes many small ones. What an outage has filled must give the disk its room back.
  before: 'PRAGMA page_size = 16384; PRAGMA auto_vacuum = INCREMENTAL',
  // The packed bytes come last, as in letters.db. `sent`: how much of the beginning may have been sent already, see QueueStart.
  migrations: [
    `CREATE TABLE slices (
      id INTEGER PRIMARY KEY,
      at INTEGER NOT NULL, -- milliseconds since 1970
      events INTEGER NOT NULL,
      head INTEGER NOT NULL, items INTEGER NOT NULL, source INTEGER NOT NULL, -- lengths of what is packed, in this order
      sum INTEGER NOT NULL,
      packed BLOB NOT NULL -- zstd
    ) STRICT;
    CREATE TABLE totals (events INTEGER NOT NULL, bytes INTEGER NOT NULL, sent INTEGER NOT NULL) STRICT;
    INSERT INTO totals VALUES (0, 0, 0);
    CREATE TABLE reserve (bytes BLOB NOT NULL) STRICT;`,
  ],
}
