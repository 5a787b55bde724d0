// The real program on simulated tenants: for tests of the input o365_activity and its commands.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemClock } from '../../core/observe/clock.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { openStore } from '../../core/state/store.ts'
import { hashOf, LedgerRows } from '../../plugins/inputs/o365_activity/ledger-rows.ts'
import {
  DEFAULTS,
  type Simulator,
  type SimulatorOptions,
  startSimulator,
} from '../../plugins/lib/microsoft/simulator/simulator.ts'
import { canary } from '../kit/canary.ts'
import { listedLetters } from '../kit/kill-run.ts'
import { type Ran, start } from '../kit/process.ts'
import { NOON } from './microsoft-support.ts'

export const HOUR_MS = 3_600_000

export interface Feed {
  readonly simulator: Simulator
  readonly folder: string
  /** Starts the program; it ends when all that was made before `until` (by default: before now) is acknowledged. */
  start(options?: JsonObject): ReturnType<typeof start>
  run(options?: JsonObject): Promise<Ran>
  /** How often each record came out, by its id. */
  came(): Map<string, number>
  /** Ids of the simulator's ledger that did not come out, and those that came out and are in no ledger. */
  compare(): { readonly lost: string[]; readonly invented: string[] }
  /** Runs another command on the same pipeline. */
  command(...args: string[]): Promise<Ran>
  /** Every line that came out. */
  lines(): JsonObject[]
  letters(): ReturnType<typeof listedLetters>
}

/** A simulated feed and the real program on it, in a folder of the test. */
export async function feed(
  t: Test,
  options: Partial<SimulatorOptions> = {},
  folder = t.testdir({}),
  extra: JsonObject = {},
): Promise<Feed> {
  const simulator = await startSimulator({
    ...DEFAULTS,
    ...{ clock: systemClock, from: NOON, historyMs: 24 * HOUR_MS, users: 10, requestsPerMinute: 100_000 },
    ...options,
  })
  t.teardown(() => simulator.close())
  mkdirSync(join(folder, 'planted'), { recursive: true })
  writeFileSync(join(folder, 'ca.pem'), simulator.cert)
  const tenants = simulator.apps.map((app, index) => {
    app.secret = `${canary('secret')}-${index}`
    writeFileSync(join(folder, 'planted', `secret-${index}`), app.secret, { mode: 0o600 })
    return {
      tenant_id: app.tenantId,
      client_id: app.clientId,
      client_secret: `\${secret:file:planted/secret-${index}}`,
      name: `t${index}`,
    }
  })
  const lines = () => {
    const path = join(folder, 'out.ndjson')
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
  }
  const begin: Feed['start'] = (given = {}) => {
    const input = {
      ...{ type: 'o365_activity', poll_interval_ms: 200, until: new Date(NOON).toISOString(), requests_per_minute: 60_000 },
      ...{ authority_url: simulator.origin, api_url: simulator.origin, ca: 'ca.pem', tenants },
      ...given,
    }
    const pipeline = { name: 'feed', inputs: [input], outputs: [{ type: 'file', path: 'out.ndjson' }], ...extra }
    writeFileSync(join(folder, 'feed.yaml'), JSON.stringify(pipeline))
    return start(['run', 'feed.yaml', '--no-progress', '--log-format', 'json'], { cwd: folder })
  }
  const came = () => {
    const counts = new Map<string, number>()
    for (const line of lines()) {
      const { Id } = JSON.parse(line) as { Id: string }
      counts.set(Id, (counts.get(Id) ?? 0) + 1)
    }
    return counts
  }
  return {
    simulator,
    folder,
    start: begin,
    run: options => begin(options).ended,
    came,
    command: (...args) => start(args, { cwd: folder }).ended,
    lines: () => lines().map(line => JSON.parse(line) as JsonObject),
    compare() {
      const known = new Set([...simulator.ledger()].filter(({ created }) => Date.parse(created) < NOON).flatMap(({ ids }) => ids))
      const out = came()
      return { lost: [...known].filter(id => !out.has(id)), invented: [...out.keys()].filter(id => !known.has(id)) }
    },
    letters: () => listedLetters(folder),
  }
}

/** The scope of the input's rows. */
const SCOPE = 'feed/o365_activity'

/** Takes acknowledged blobs of the first tenant, of at least so many records, out of the ledger; gives their records' ids by contentId. */
export async function forget(
  { folder, simulator }: Feed,
  count: number,
  { least = 1 } = {},
): Promise<Map<string, readonly string[]>> {
  const { tenantId } = simulator.apps[0] as (typeof simulator.apps)[number]
  const store = await openStore(join(folder, 'state'))
  const acknowledged = (await store.list(SCOPE, new LedgerRows(tenantId).of('b'))).filter(([, value]) => Array.isArray(value))
  const rows = new Map(acknowledged.map(([key]) => [key.split('/').at(-1), key]))
  const row = (contentId: string) => rows.get(hashOf(contentId))
  const there = [...simulator.ledger()].filter(
    ({ contentId, ids, tenant }) => tenant === tenantId && ids.length >= least && row(contentId) !== undefined,
  )
  const picked = there.filter((_, index) => index % Math.floor(there.length / count) === 0).slice(0, count)
  const gone = picked.map(({ contentId }) => [SCOPE, row(contentId) as string, null] as const)
  await store.commit({ positions: [], rows: gone })
  await store.close()
  return new Map(picked.map(({ contentId, ids }) => [contentId, ids]))
}

/** Lines of JSON that a command has printed. */
export function parsed(stdout: string): JsonObject[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as JsonObject)
}
