// A real PostgreSQL for a test, from Debian's packages.
import { dirname, join } from 'node:path'
import pg from 'pg'
import { canary } from '../../kit/canary.ts'
import { type LocalServer, type Place, programOf, type Recipe, startLocal } from './local-server.ts'

export const USER = 'penstock'
/** A secret that no run may show. */
export const PASSWORD = canary('env')

const VERSIONS = ['18', '17', '16', '15', '14']
const RECIPE: Recipe = {
  debian: 'postgresql',
  programs: VERSIONS.map(version => `/usr/lib/postgresql/${version}/bin/postgres`),
  user: 'postgres',
  prepare: (program, data) => [
    join(dirname(program), 'initdb'),
    ...['-D', data, '-U', 'admin', '--auth-local=trust', '--auth-host=scram-sha-256', '-E', 'UTF8', '--no-locale', '--no-sync'],
  ],
  // A process that is killed loses nothing of what the system has: only a power cut needs the syncs, which cost the tests minutes.
  serve: (program, { folder, data, port, cert, key }) => [
    program,
    ...['-D', data, '-p', String(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'],
    ...['-c', 'max_connections=20', '-c', 'ssl=on', '-c', `ssl_cert_file=${cert}`, '-c', `ssl_key_file=${key}`],
  ],
  async ready(place) {
    const { rows } = await admin(place, `SELECT 1 FROM pg_roles WHERE rolname = '${USER}'`)
    if (rows.length > 0) return
    await admin(place, `CREATE ROLE ${USER} LOGIN PASSWORD '${PASSWORD}'`)
  },
}

/** Why no server can be had on this machine, for a skip to say; undefined where one can. Installs it where it may. */
export function postgresMissing(): string | undefined {
  const found = programOf(RECIPE)
  return 'missing' in found ? found.missing : undefined
}

export type PostgresServer = LocalServer & {
  /** Runs a statement as the superuser; rows are lists of texts. */
  admin(text: string, database?: string): Promise<{ readonly rows: unknown[][] }>
}

export async function startPostgres(folder: string): Promise<PostgresServer> {
  const server = await startLocal(RECIPE, folder)
  const place = { folder, port: server.port }
  return { ...server, admin: (text, database) => admin(place, text, database) }
}

async function admin(
  { folder, port }: Pick<Place, 'folder' | 'port'>,
  text: string,
  database = 'postgres',
): Promise<{ readonly rows: unknown[][] }> {
  const client = new pg.Client({ host: folder, port, user: 'admin', database })
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows } = await client.query({ text, rowMode: 'array' })
    return { rows }
  } finally {
    await client.end()
  }
}
