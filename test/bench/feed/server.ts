// A simulated service in a process of its own, for the benches: options as JSON in its environment, what it is in its first line.
import { systemClock } from '../../../core/observe/clock.ts'
import { DEFAULTS, type SimulatorOptions, startSimulator } from '../../../plugins/lib/microsoft/simulator/simulator.ts'

const options = JSON.parse(process.env['PENSTOCK_BENCH_SIMULATOR'] ?? '{}') as Partial<SimulatorOptions> &
  Pick<SimulatorOptions, 'from'>
const { origin, cert, apps, contents } = await startSimulator({ ...DEFAULTS, clock: systemClock, ...options })
const tenants = apps.map(({ tenantId, clientId, secret }, index) => ({
  ...{ tenant_id: tenantId, client_id: clientId, client_secret: secret, name: contents[index]?.tenant.domain },
}))
process.stdout.write(`${JSON.stringify({ origin, cert, tenants })}\n`)
