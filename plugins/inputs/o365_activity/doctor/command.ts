// penstock doctor: looks at every tenant of the pipeline's Microsoft inputs, several at once, and says what is wrong and what helps.
import {
  commandLine,
  EXIT,
  isTerminal,
  openRows,
  painter,
  pipelineWith,
  STATE_DIR,
  systemClock,
  wholeNumber,
} from '../../../../core/cli/for-plugins.ts'
import type { Verb } from '../../../../core/plugin/define.ts'
import { asError, errorCode, PenstockError } from '../../../../core/plugin/errors.ts'
import { Connections } from '../connections.ts'
import { configuredTenants, type Options } from '../tenants.ts'
import type { Finding, Patient, Status } from './finding.ts'
import { type Examination, examine } from './patient.ts'
import { asJson, asText, closing } from './report.ts'
import { doctorVerb } from './usage.ts'

const AT_ONCE = 8
const LONGEST_S = 3_600
const ERASE = '\r\u001b[2K'

export const verb: Verb = {
  ...doctorVerb,
  async run(args) {
    const { values, positionals } = commandLine(args, {
      'state-dir': STATE_DIR,
      json: { type: 'boolean', default: false },
      start: { type: 'boolean', default: false },
      tenant: { type: 'string' },
      timeout: { type: 'string', default: '20' },
    })
    const [file, ...others] = positionals
    if (file === undefined || others.length > 0)
      throw new PenstockError('PEN_USAGE', 'doctor needs one pipeline file (penstock doctor --help)')
    const seconds = wholeNumber('--timeout', values.timeout)
    if (seconds < 1 || seconds > LONGEST_S)
      throw new PenstockError('PEN_USAGE', `--timeout takes seconds, from 1 to ${LONGEST_S}; got ${seconds}`)
    const { patients, close } = await patientsOf(file, {
      stateDir: values['state-dir'],
      start: values.start,
      timeoutMs: seconds * 1000,
    })
    try {
      return await seeAll(chosen(patients, values.tenant), values.json)
    } finally {
      await close()
    }
  },
}

interface Asked {
  readonly stateDir: string
  readonly start: boolean
  readonly timeoutMs: number
}

/** The tenants of the pipeline's inputs of the audit feed. */
async function patientsOf(file: string, asked: Asked): Promise<{ patients: Patient[]; close(): Promise<void> }> {
  const { stateDir, start, timeoutMs } = asked
  const { config, steps } = await pipelineWith(file, 'o365_activity')
  const inputs = steps.map(({ id, options, site }) => {
    const own = options as unknown as Options
    return { id, webhook: own.webhook !== undefined, tenants: configuredTenants(own, site) }
  })
  /** By tenant, what any of the inputs reads: they may share one. */
  const read = new Map<string, Set<string>>()
  for (const { settings } of inputs.flatMap(({ tenants }) => tenants)) {
    const key = settings.tenantId.toLowerCase()
    read.set(key, new Set([...(read.get(key) ?? []), ...settings.contentTypes]))
  }
  const connections = new Connections(systemClock)
  const closings = [() => connections.close()]
  const patients: Patient[] = []
  for (const { id, webhook, tenants } of inputs) {
    const ledger = await ledgerOf(config.name, id)
    for (const tenant of tenants) {
      const { label, tenantId } = tenant.settings
      const wish = { webhook, read: read.get(tenantId.toLowerCase()) ?? new Set<string>() }
      const examination = { connections, clock: systemClock, timeoutMs, start, wish, ledger }
      patients.push({ input: id, tenant: label, tenantId, examine: () => examine(tenant, examination) })
    }
  }
  return {
    patients,
    async close() {
      for (const close of closings) await close()
    },
  }

  async function ledgerOf(pipeline: string, step: string): Promise<Examination['ledger']> {
    try {
      const { rows, close } = await openRows(stateDir, { pipeline, step, beside: true })
      closings.push(close)
      return { rows }
    } catch (thrown) {
      const error = asError(thrown)
      if (errorCode(error) === 'PEN_STATE_MISSING')
        return { status: 'ok', why: `not run yet with this state directory (${stateDir})` }
      return { status: 'unknown', why: `cannot tell how far it has read: ${error.message}` }
    }
  }
}

function chosen(patients: readonly Patient[], name: string | undefined): readonly Patient[] {
  if (name === undefined) return patients
  const wanted = name.toLowerCase()
  const found = patients.filter(({ tenant, tenantId }) => tenant === name || tenantId.toLowerCase() === wanted)
  if (found.length > 0) return found
  const names = patients.map(({ tenant }) => tenant)
  const some = names.length > 10 ? `${names.slice(0, 10).join(', ')} and ${names.length - 10} more` : names.join(', ')
  throw new PenstockError('PEN_USAGE', `--tenant ${name}: the pipeline has no such tenant; it has ${some}`)
}

/** Examines the patients, some at once; tells each in its turn. Gives the exit code. */
async function seeAll(patients: readonly Patient[], json: boolean): Promise<number> {
  const paint = painter(process.stdout)
  const moving = isTerminal(process.stderr) && patients.length > 1
  const counts: Record<Status, number> = { ok: 0, warning: 0, failed: 0, unknown: 0 }
  const seen = new Map<number, readonly Finding[]>()
  let next = 0
  let told = 0

  const tell = (): void => {
    if (moving) process.stderr.write(ERASE)
    for (let findings = seen.get(told); findings; findings = seen.get(++told)) {
      const patient = patients[told] as Patient
      seen.delete(told)
      for (const { status } of findings) counts[status]++
      process.stdout.write(json ? asJson(patient, findings) : `${asText(patient, findings, paint)}\n`)
    }
    if (moving && told < patients.length) process.stderr.write(`${told + seen.size} of ${patients.length} tenants`)
  }
  const work = async (): Promise<void> => {
    while (next < patients.length) {
      const index = next++
      seen.set(index, await (patients[index] as Patient).examine())
      tell()
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  if (!json) process.stdout.write(closing(patients.length, counts, paint))
  return counts.failed > 0 ? EXIT.failed : EXIT.ok
}
