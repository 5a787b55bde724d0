// Runs a PostgreSQL for trying things out, until it is told to stop: node test/services/postgres/start.ts FOLDER
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import process from 'node:process'
import { PASSWORD, startPostgres, USER } from './server.ts'

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('name a folder for the data: node test/services/postgres/start.ts FOLDER')
mkdirSync(folder, { recursive: true, mode: 0o755 })
const server = await startPostgres(resolve(folder))
const databases = await server.admin("SELECT datname FROM pg_database WHERE datname = 'audit'")
if (databases.rows.length === 0) await server.admin(`CREATE DATABASE audit OWNER ${USER}`)
console.log(
  `dialect: postgres\nport: ${server.port}\ndatabase: audit\nuser: ${USER}\npassword: ${PASSWORD}\nCtrl+C ends it; the data stay in ${folder}`,
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.stop())
