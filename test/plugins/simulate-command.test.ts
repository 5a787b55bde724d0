// penstock simulate, as a user runs it: it says how it is used, serves, and holds what a pipeline wrote against its own ledger.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { systemClock } from '../../core/observe/clock.ts'
import { openHttp } from '../../plugins/lib/http/client.ts'
import { root } from '../kit/cases.ts'
import { penstock, start } from '../kit/process.ts'
import { until } from '../kit/until.ts'
import { never } from './microsoft-support.ts'

t.setTimeout(300_000)

const WORLD = ['--port', '0', '--users', '20', '--history', '20h', '--slot', '1h', '--from', '2026-05-06T12:00:00Z']

/** The pipeline of the README in a folder of its own; `change` rewrites its text. */
function scene(t: Test, change = (text: string) => text) {
  const folder = t.testdir({})
  const text = readFileSync(join(root, 'pipelines/simulated-tenant.yaml'), 'utf8')
  writeFileSync(join(folder, 'pipeline.yaml'), change(text))
  const file = (...path: string[]) => join(folder, 'simulated-tenant', ...path)
  const lines = () => readFileSync(file('out.ndjson'), 'utf8').split('\n').slice(0, -1)
  const run = (...args: string[]) => penstock(['simulate', '--run', 'pipeline.yaml', ...WORLD, ...args], { cwd: folder })
  return { folder, file, lines, run }
}
/** The row of a table. */
const row = (text: string, name: string) =>
  new RegExp(`^ *${name} +(.*)$`, 'm')
    .exec(text)?.[1]
    ?.split(/ {2,}/)
    .map(cell => Number(cell.replaceAll(',', '')))

t.test('from one command a pipeline reads all of a simulated tenant, and a second one goes on or begins a new world', async t => {
  const { run, lines, file } = scene(t)
  const faults = [
    '--scenario',
    'everything',
    '--fault',
    'slow=0',
    '--fault',
    'restart=0',
    '--fault',
    'late=0',
    '--fault',
    'no_id=0.1',
  ]
  const first = await run(...faults)
  t.equal(first.code, 0, first.stdout + first.stderr)
  t.match(first.stdout, 'Every record of the ledger came; nothing was lost, nothing was invented.')
  const [blobs = 0, records = 0, came, lost] = row(first.stdout, 'all') ?? []
  t.ok(blobs > 50 && records > 500, `${blobs} blobs, ${records} records`)
  t.same([came, lost], [records, 0])
  t.equal(lines().length, records)
  t.ok(
    lines().every(line => JSON.parse(line).event.id),
    'ECS documents',
  )
  t.match(first.stdout, /fault cut +\d+/, 'what was spoiled is told')

  const again = await run(...faults)
  t.equal(again.code, 0, again.stdout + again.stderr)
  t.equal(lines().length, records, 'the same world: what was read is not read again')
  t.match(again.stdout, 'Every record of the ledger came')

  const other = await run('--seed', '2')
  t.equal(other.code, 0, other.stdout + other.stderr)
  t.match(other.stdout, 'Every record of the ledger came')
  t.equal(lines().length, row(other.stdout, 'all')?.[1], 'another world: what came of the first one is gone')
  t.equal(statSync(file('tenants.yaml')).mode & 0o077, 0)
})

t.test('what is lost and what is invented is told, with exit code 1', async t => {
  const lossy = scene(t, text =>
    text.replace('  - type: dedupe', `  - { type: drop, when: 'event.provider == "Exchange"' }\n  - type: dedupe`),
  )
  const { code, stdout } = await lossy.run()
  t.equal(code, 1)
  const lost = row(stdout, 'Audit.Exchange')?.[3]
  t.ok(lost && lost > 50, `${lost} lost`)
  t.equal(row(stdout, 'Audit.SharePoint')?.[3], 0)
  t.match(stdout, /records were lost, 0 were invented/)

  const { run, file } = scene(t)
  t.equal((await run()).code, 0)
  writeFileSync(file('out.ndjson'), '{"event":{"id":"made-up"}}\n', { flag: 'a' })
  const again = await run()
  t.equal(again.code, 1)
  t.match(again.stdout, 'The simulator does not know: made-up'.slice(4))
})

t.test('without a pipeline it serves until it is told to stop, and shows no secret', async t => {
  const folder = t.testdir({})
  const { child, ended } = start(['simulate', '--port', '0', '--users', '20', '--tenants', '12', '--history', '2h'], {
    cwd: folder,
  })
  const file = (name: string) => join(folder, 'simulated-tenant', name)
  await until(() => existsSync(file('world.json')))
  const { tenants } = parse(readFileSync(file('tenants.yaml'), 'utf8'))
  t.equal(tenants.length, 12)
  t.match(tenants[0], { tenant_id: /^11111111-/, client_id: /-/, client_secret: /./, name: 'contoso.example' })
  const environment = readFileSync(file('environment'), 'utf8')
  const [, url = ''] = /^PENSTOCK_SIMULATOR_URL='(.*)'$/m.exec(environment) ?? []
  const http = await openHttp({ clock: systemClock, ca: file('ca.pem') })
  t.teardown(() => http.close())
  const ask = (path: string) => http.request(new URL(path, url), { signal: never })
  const { text } = await ask('/simulator/status')
  t.match(JSON.parse(await text()), { requests: 1, throttled: 0 })
  for (const name of ['tenants.yaml', 'environment', 'client-secret']) t.equal(statSync(file(name)).mode & 0o077, 0, name)
  child.kill('SIGTERM')
  const { code, stdout, stderr } = await ended
  t.equal(code, 0, stderr)
  t.match(stdout, /requests +1\n/)
  t.match(stdout, /and 2 more/)
  t.match(stdout, url)
  for (const { client_secret } of tenants) t.notOk(stdout.includes(client_secret) || stderr.includes(client_secret))
})

t.test('a pipeline that follows the feed is stopped with the simulator, and nothing counts as lost', async t => {
  const { folder, file } = scene(t, text => text.replace(/^ +until: .*$/m, ''))
  const { child, ended } = start(['simulate', '--run', 'pipeline.yaml', ...WORLD], { cwd: folder })
  await until(() => existsSync(file('out.ndjson')) && statSync(file('out.ndjson')).size > 10_000)
  child.kill('SIGINT')
  const { code, stdout, stderr } = await ended
  t.equal(code, 0, stdout + stderr)
  t.match(stdout, 'The pipeline was stopped')
})

t.test('a command line that cannot be meant is refused with what would be right', async t => {
  const folder = t.testdir({ other: { 'a.txt': 'mine' } })
  for (const [args, message] of [
    [['--scenario', 'wild'], /--scenario takes calm, throttled, flaky, everything; got wild/],
    [['--fault', 'cut'], /--fault takes NAME=SHARE, like cut=0.1; got cut/],
    [['--fault', 'cuts=0.1'], /there is no fault cuts; there are .*cut/],
    [['--fault', 'cut=2'], /takes a share from 0 to 1/],
    [['--history', '7'], /--history takes a duration like 7d/],
    [['--from', 'yesterday'], /--from takes a UTC time/],
    [['--big-blob', 'large'], /--big-blob takes a size like 60MB/],
    [['--users', '1'], /--users takes a number from 2 on/],
    [['--speed', '0'], /--speed takes a number above 0/],
    [['--keep'], /--keep goes with --run/],
    [['pipeline.yaml'], /--run pipeline.yaml/],
    [['--port', '0', '--folder', 'other'], /other holds files that are no simulator's/],
  ] as const) {
    const { code, stderr } = await penstock(['simulate', ...args], { cwd: folder })
    t.equal(code, 2, `${args.join(' ')}: ${stderr}`)
    t.match(stderr, message)
  }
  t.equal(readFileSync(join(folder, 'other/a.txt'), 'utf8'), 'mine')
  const { stdout } = await penstock(['simulate', '--help'], { cwd: folder })
  t.match(stdout, /throttled +throttle_403 throttle_429/)
})
