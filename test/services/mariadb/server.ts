// A real MariaDB for a test, from Debian's packages.
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { canary } from '../../kit/canary.ts'
import { type LocalServer, type Place, programOf, type Recipe, startLocal } from '../postgres/local-server.ts'

export const USER = 'penstock'
/** A secret that no run may show. */
export const PASSWORD = canary('env')

const RECIPE: Recipe = {
  debian: 'mariadb-server',
  programs: ['/usr/sbin/mariadbd', '/usr/libexec/mariadbd'],
  user: 'mysql',
  prepare: (_, data) => [
    'mariadb-install-db',
    ...['--no-defaults', `--datadir=${data}`, '--auth-root-authentication-method=normal', '--skip-test-db', '--basedir=/usr'],
  ],
  // A process that is killed loses nothing of what the system has: only a power cut needs the syncs, which cost the tests minutes.
  serve: (program, { folder, data, port, cert, key }) => [
    program,
    ...['--no-defaults', `--datadir=${data}`, `--socket=${join(folder, 'sock')}`, `--port=${port}`, '--bind-address=127.0.0.1'],
    ...[
      `--pid-file=${join(folder, 'pid')}`,
      '--innodb-buffer-pool-size=32M',
      '--innodb-flush-log-at-trx-commit=2',
      '--skip-name-resolve',
    ],
    ...['--max-connections=20', '--max-allowed-packet=4M', `--ssl-cert=${cert}`, `--ssl-key=${key}`],
  ],
  async ready(place) {
    const { rows } = await admin(place, `SELECT 1 FROM mysql.user WHERE user = '${USER}'`)
    if (rows.length > 0) return
    await admin(place, `CREATE USER ${USER}@'127.0.0.1' IDENTIFIED BY '${PASSWORD}'`)
    await admin(place, `GRANT ALL ON *.* TO ${USER}@'127.0.0.1'`)
  },
}

/** Why no server can be had on this machine, for a skip to say; undefined where one can. Installs it where it may. */
export function mariadbMissing(): string | undefined {
  const found = programOf(RECIPE)
  return 'missing' in found ? found.missing : undefined
}

export type MariadbServer = LocalServer & {
  /** Runs a statement as root; rows are lists of values. */
  admin(text: string, database?: string): Promise<{ readonly rows: unknown[][] }>
}

export async function startMariadb(folder: string): Promise<MariadbServer> {
  const server = await startLocal(RECIPE, folder)
  const place = { folder }
  return { ...server, admin: (text, database) => admin(place, text, database) }
}

async function admin(
  { folder }: Pick<Place, 'folder'>,
  text: string,
  database?: string,
): Promise<{ readonly rows: unknown[][] }> {
  const connection = await createConnection({
    ...{ socketPath: join(folder, 'sock'), user: 'root', rowsAsArray: true, dateStrings: true, charset: 'utf8mb4' },
    ...(database !== undefined && { database }),
  })
  try {
    const [rows] = await connection.query(text)
    return { rows: Array.isArray(rows) ? (rows as unknown[][]) : [] }
  } finally {
    await connection.end()
  }
}
