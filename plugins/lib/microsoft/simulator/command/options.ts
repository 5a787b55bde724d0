// The command line of penstock simulate, checked and put into the simulator's own terms.
import { commandLine, systemClock, wholeNumber } from '../../../../../core/cli/for-plugins.ts'
import { PenstockError } from '../../../../../core/plugin/errors.ts'
import { NAMED_FAULTS } from '../fault-names.ts'
import { SCENARIOS, type Scenario } from '../faults.ts'
import { DEFAULTS, type SimulatorOptions } from '../simulator.ts'
import { DEFAULT_FOLDER, DEFAULT_PORT } from './verb.ts'

export interface SimulateOptions {
  readonly simulator: SimulatorOptions
  readonly scenarioName: string
  readonly folder: string
  /** The pipeline to run against it. */
  readonly run: string | undefined
  readonly keep: boolean
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const SIZES: Readonly<Record<string, number>> = { k: 1_000, m: 1_000_000, g: 1_000_000_000 }
const BINARY: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 }
const TEXT = { type: 'string' } as const
const FLAG = { type: 'boolean', default: false } as const

/** @throws PenstockError (PEN_USAGE) that names the option and what it takes */
export function simulateOptions(args: readonly string[]): SimulateOptions {
  const { values, positionals } = commandLine(args, {
    ...{ tenants: TEXT, users: TEXT, seed: TEXT, 'not-subscribed': FLAG, backfill: TEXT },
    ...{ from: TEXT, history: TEXT, speed: TEXT },
    ...{ slot: TEXT, 'blob-records': TEXT, 'big-blob': TEXT, expiry: TEXT },
    ...{ scenario: TEXT, latency: TEXT, 'requests-per-minute': TEXT, 'page-size': TEXT, 'token-seconds': TEXT },
    ...{ 'full-day': FLAG, port: TEXT, folder: TEXT, run: TEXT, keep: FLAG },
    fault: { type: 'string', multiple: true, default: [] },
  })
  if (positionals.length > 0)
    throw usage(`simulate takes options only; got ${positionals[0]} (to run a pipeline against it: --run ${positionals[0]})`)
  if (values.keep && values.run === undefined) throw usage('--keep goes with --run; without that the simulator stays up anyway')
  const { scenario: scenarioName = 'calm' } = values
  const scenario = Object.hasOwn(SCENARIOS, scenarioName) ? SCENARIOS[scenarioName] : undefined
  if (!scenario) throw usage(`--scenario takes ${Object.keys(SCENARIOS).join(', ')}; got ${scenarioName}`)
  const count = (name: string, given: string | undefined, fallback: number, least = 1) => {
    const value = given === undefined ? fallback : wholeNumber(`--${name}`, given)
    if (value < least) throw usage(`--${name} takes a number from ${least} on; got ${given}`)
    return value
  }
  const time = (name: string, given: string | undefined, fallback: number, least = 1_000) => {
    const value = given === undefined ? fallback : durationOf(name, given)
    if (value < least) throw usage(`--${name} takes at least ${least / 1_000} s; got ${given}`)
    return value
  }
  const port = count('port', values.port, DEFAULT_PORT, 0)
  if (port > 65_535) throw usage(`--port takes a number up to 65535; got ${values.port}`)
  const simulator: SimulatorOptions = {
    ...DEFAULTS,
    ...{ clock: systemClock, port, scenario: withFaults(scenario, values.fault) },
    seed: count('seed', values.seed, DEFAULTS.seed, 0) >>> 0,
    tenants: count('tenants', values.tenants, DEFAULTS.tenants),
    users: count('users', values.users, DEFAULTS.users, 2),
    from: values.from === undefined ? systemClock.now() : timeOf(values.from),
    historyMs: time('history', values.history, DEFAULTS.historyMs, 0),
    speed: speedOf(values.speed),
    latencyMs: count('latency', values.latency, DEFAULTS.latencyMs, 0),
    requestsPerMinute: count('requests-per-minute', values['requests-per-minute'], DEFAULTS.requestsPerMinute),
    pageSize: count('page-size', values['page-size'], DEFAULTS.pageSize),
    tokenSeconds: count('token-seconds', values['token-seconds'], DEFAULTS.tokenSeconds),
    subscribed: !values['not-subscribed'],
    backfillMs: time('backfill', values.backfill, DEFAULTS.backfillMs, 0),
    fullDay: values['full-day'],
    expiryMs: time('expiry', values.expiry, DEFAULTS.expiryMs),
    slotMs: time('slot', values.slot, DEFAULTS.slotMs),
    blobRecords: count('blob-records', values['blob-records'], DEFAULTS.blobRecords),
    bigBlobBytes: values['big-blob'] === undefined ? 0 : sizeOf(values['big-blob']),
  }
  const { folder = DEFAULT_FOLDER, run, keep } = values
  return { simulator, scenarioName, folder, run, keep }
}

function withFaults(scenario: Scenario, given: readonly string[]): Scenario {
  return given.reduce((changed, text) => {
    const [, name, share] = /^([a-z\d_]+)=([\d.]+)$/.exec(text) ?? []
    if (name === undefined) throw usage(`--fault takes NAME=SHARE, like cut=0.1; got ${text}`)
    const fault = NAMED_FAULTS.find(one => one.name === name)
    if (!fault) throw usage(`--fault: there is no fault ${name}; there are ${NAMED_FAULTS.map(one => one.name).join(', ')}`)
    const value = Number(share)
    if (!(value >= 0 && value <= 1)) throw usage(`--fault ${name} takes a share from 0 to 1; got ${share}`)
    return fault.with(changed, value)
  }, scenario)
}

function durationOf(name: string, text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/.exec(text) ?? []
  if (count === undefined) throw usage(`--${name} takes a duration like 7d, 36h, 5m or 30s; got ${text}`)
  return Math.round(Number(count) * (UNITS[unit as string] as number))
}

function sizeOf(text: string): number {
  const [, count, letter, binary] = /^(\d+(?:\.\d+)?)\s*([kmg])(i?)b?$/i.exec(text) ?? []
  const unit = letter?.toLowerCase() ?? ''
  const bytes = Number(count) * ((binary ? BINARY[unit] : SIZES[unit]) ?? Number.NaN)
  if (!(bytes > 0)) throw usage(`--big-blob takes a size like 60MB or 64MiB; got ${text}`)
  return Math.round(bytes)
}

/** A time without a zone is UTC. */
function timeOf(text: string): number {
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?$/.test(text)
    ? Date.parse(text.length === 10 || text.endsWith('Z') ? text : `${text}Z`)
    : Number.NaN
  if (Number.isNaN(time)) throw usage(`--from takes a UTC time like 2026-05-06T12:00:00Z; got ${text}`)
  return time
}

function speedOf(text = '1'): number {
  const speed = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(speed > 0 && speed <= 1_000_000)) throw usage(`--speed takes a number above 0, such as 60; got ${text}`)
  return speed
}

function usage(text: string): PenstockError {
  return new PenstockError('PEN_USAGE', text)
}
