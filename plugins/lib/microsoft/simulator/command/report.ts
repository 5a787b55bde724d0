// What penstock simulate tells on the terminal. No secret stands in any of it: files that hold them are named.
import { bytes, columns, number, painter } from '../../../../../core/cli/for-plugins.ts'
import type { Simulator } from '../simulator.ts'
import type { Comparison } from './comparison.ts'
import type { SimulatorFolder } from './folder.ts'
import type { SimulateOptions } from './options.ts'

const MOST_TENANTS = 10

const paint = painter(process.stdout)

/** What a person needs to use it. */
export function welcome(simulator: Simulator, folder: SimulatorFolder, options: SimulateOptions): string {
  const { historyMs, speed, users, bigBlobBytes } = options.simulator
  const { path, environment } = folder
  const start = environment['PENSTOCK_SIMULATOR_UNTIL'] as string
  const shown = simulator.apps.slice(0, MOST_TENANTS)
  const rows = shown.map(({ tenantId, clientId }, index) => [
    ...[simulator.contents[index]?.tenant.domain ?? '', tenantId, `client ${clientId}`],
  ])
  const others = simulator.apps.length - shown.length
  const facts = [
    ['address', `${simulator.origin} (login and API; trust ${environment['PENSTOCK_SIMULATOR_CA']})`],
    ['time', `${start}${speed === 1 ? '' : `, ${speed} seconds in a second`}, with ${days(historyMs)} before it`],
    ['scenario', options.scenarioName],
    ['people', `${number(users)} in each tenant${bigBlobBytes > 0 ? `, and one blob of ${bytes(bigBlobBytes)}` : ''}`],
    ['tenants', `${number(simulator.apps.length)}; their secrets are in ${path}/tenants.yaml`],
  ]
  return `${paint('bold', 'A simulated Microsoft 365')}
${columns(facts, [], '  ')}
${columns(rows, [], '    ')}${others > 0 ? `\n    and ${number(others)} more` : ''}
`
}

/** How to use it from another terminal. */
export function advice({ path, state }: SimulatorFolder): string {
  return `
In another terminal:
  set -a; . ${path}/environment; set +a
  penstock run pipelines/simulated-tenant.yaml --state-dir ${state}

In a pipeline of your own:
  type: o365_activity
  authority_url: "\${PENSTOCK_SIMULATOR_URL}"
  api_url: "\${PENSTOCK_SIMULATOR_URL}"
  ca: "\${PENSTOCK_SIMULATOR_CA}"
  tenants:
    - tenant_id: "\${PENSTOCK_SIMULATOR_TENANT_ID}"
      client_id: "\${PENSTOCK_SIMULATOR_CLIENT_ID}"
      client_secret: "\${PENSTOCK_SIMULATOR_CLIENT_SECRET}"

Ctrl-C ends it.
`
}

/** What was served, and what was spoiled. */
export function servedTable({ server, feed, faults, entra, webhooks }: Simulator): string {
  const served = [...feed.served.values()]
  const total = (field: 'blobs' | 'records') => served.reduce((sum, one) => sum + one[field], 0)
  const rows: [string, number][] = [
    ['requests', server.requests],
    ['tokens issued', entra.issued],
    ['blobs given out', total('blobs')],
    ['records in them', total('records')],
    ['refused for the quota', feed.throttled],
    ...[...faults.counts].map(([name, count]): [string, number] => [`fault ${name}`, count]),
    ...[...webhooks.counts].map(([name, count]): [string, number] => [`notifications ${name}`, count]),
  ]
  const table = columns(
    rows.map(([name, count]) => [name, number(count)]),
    [1],
    '  ',
  )
  return `\n${paint('bold', 'What the simulator served')}\n${table}\n`
}

/** The simulator's ledger against what came. */
export function comparisonTable(comparison: Comparison, files: readonly string[]): string {
  const { types, invented, examples } = comparison
  const asked = types.filter(type => type.asked)
  const left = types.filter(type => !type.asked).map(({ contentType }) => contentType)
  const cells = (name: string, of: readonly Comparison['types'][number][]) => {
    const sum = (field: 'blobs' | 'records' | 'came' | 'lost' | 'repeated') =>
      number(of.reduce((all, one) => all + one[field], 0))
    return [name, sum('blobs'), sum('records'), sum('came'), sum('lost'), sum('repeated')]
  }
  const table = columns(
    [
      ['content type', 'blobs', 'records', 'came', 'lost', 'came again'],
      ...asked.map(type => cells(type.contentType, [type])),
      cells('all', asked),
    ],
    [1, 2, 3, 4, 5],
    '  ',
  )
  const lost = asked.reduce((all, type) => all + type.lost, 0)
  const missing = asked.reduce((all, type) => all + type.missing, 0)
  const notes = [
    ...(missing > 0 ? [`${number(missing)} more blobs were listed that nobody can have: the dead letters name them`] : []),
    ...(left.length > 0 ? [`not asked for: ${left.join(', ')}`] : []),
    ...(lost > 0 ? [`lost: ${examples.lost.join(', ')}${lost > examples.lost.length ? ', …' : ''}`] : []),
    ...(invented > 0
      ? [`${number(invented)} records came that the simulator does not know: ${examples.invented.join(', ')}`]
      : []),
  ]
  const verdict =
    lost + invented === 0
      ? paint('green', 'Every record of the ledger came; nothing was lost, nothing was invented.')
      : paint('red', `${number(lost)} records were lost, ${number(invented)} were invented.`)
  return `\n${paint('bold', "The simulator's ledger")}, against ${files.join(', ')}\n${[table, ...notes.map(note => `  ${note}`)].join('\n')}\n${verdict}\n`
}

function days(ms: number): string {
  const hours = ms / 3_600_000
  return hours >= 48 ? `${Math.round(hours / 2.4) / 10} days` : `${Math.round(hours * 10) / 10} hours`
}
