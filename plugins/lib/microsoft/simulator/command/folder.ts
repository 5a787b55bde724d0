// The folder that a simulator keeps for whoever runs pipelines against it: certificate, tenants, environment, and which world it was.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isAbsolute, join, relative, resolve } from 'node:path'
import { stringify } from 'yaml'
import { PenstockError } from '../../../../../core/plugin/errors.ts'
import { isObject } from '../../../../../core/plugin/json.ts'
import type { Simulator } from '../simulator.ts'

export interface SimulatorFolder {
  /** Absolute. */
  readonly path: string
  /** Where a pipeline against the simulator keeps its state. */
  readonly state: string
  /** What such a pipeline finds in its environment. */
  readonly environment: Readonly<Record<string, string>>
  /** True when the simulator holds what it held the last time: what was read then is known, and what was written stays. */
  readonly sameWorld: boolean
}

/** Tells the folder's own kind, and what the simulator's content followed from when it was last there. */
const WORLD = 'world.json'
const PREFIX = 'PENSTOCK_SIMULATOR_'

/**
 * Writes the files. In a new world the state of pipelines is removed.
 * @throws PenstockError (PEN_USAGE) for a folder with other things in it
 */
export function prepareFolder(folder: string, simulator: Simulator, world: string): SimulatorFolder {
  const path = resolve(folder)
  const state = join(path, 'state')
  const before = existsSync(path) ? readdirSync(path) : []
  if (before.length > 0 && !before.includes(WORLD)) {
    throw new PenstockError(
      'PEN_USAGE',
      `the folder ${path} holds files that are no simulator's; name another one, or one that does not exist yet, with --folder`,
    )
  }
  mkdirSync(path, { recursive: true })
  const sameWorld = before.includes(WORLD) && worldOf(join(path, WORLD)) === world
  if (!sameWorld) rmSync(state, { recursive: true, force: true })

  const [first] = simulator.apps
  if (!first) throw new Error('a simulator has at least one tenant')
  const put = (name: string, text: string, mode = 0o644): string => {
    const file = join(path, name)
    writeFileSync(`${file}.new`, text, { mode })
    // The mode counts for new files only.
    chmodSync(`${file}.new`, mode)
    renameSync(`${file}.new`, file)
    return file
  }
  // Nothing of it belongs into anybody's repository.
  put('.gitignore', '*\n')
  const tenants = simulator.apps.map(({ tenantId, clientId, secret }, index) => ({
    ...{ tenant_id: tenantId, client_id: clientId, client_secret: secret },
    name: simulator.contents[index]?.tenant.domain,
  }))
  const environment = {
    [`${PREFIX}URL`]: simulator.origin,
    [`${PREFIX}CA`]: put('ca.pem', simulator.cert),
    // A whole second, as listings take times.
    [`${PREFIX}UNTIL`]: `${new Date(simulator.now()).toISOString().slice(0, 19)}Z`,
    [`${PREFIX}TENANTS`]: put('tenants.yaml', stringify({ tenants }), 0o600),
    [`${PREFIX}TENANT_ID`]: first.tenantId,
    [`${PREFIX}CLIENT_ID`]: first.clientId,
    [`${PREFIX}CLIENT_SECRET`]: first.secret,
    [`${PREFIX}CLIENT_SECRET_FILE`]: put('client-secret', `${first.secret}\n`, 0o600),
  }
  const lines = Object.entries(environment).map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`)
  put('environment', lines.join(''), 0o600)
  put(WORLD, `${JSON.stringify({ world })}\n`)
  return { path, state, environment, sameWorld }
}

/** True for a file below the folder. */
export function liesIn(folder: string, file: string): boolean {
  const way = relative(folder, file)
  return way !== '' && !way.startsWith('..') && !isAbsolute(way)
}

function worldOf(file: string): string | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return isObject(value) && typeof value['world'] === 'string' ? value['world'] : undefined
  } catch {
    return undefined
  }
}
