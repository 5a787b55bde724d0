// Starts a simulated service in another process, and runs the engine on it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { SimulatorOptions } from '../../../plugins/lib/microsoft/simulator/simulator.ts'
import type { Bench } from '../bench.ts'
import { type Engine, penstock, root } from '../engines.ts'
import { measure, type Usage } from '../measure.ts'

export const HOUR_MS = 3_600_000
/** A Wednesday at noon. */
export const NOON = Date.UTC(2026, 4, 6, 12)

export interface Simulated {
  readonly origin: string
  readonly tenants: readonly object[]
  /** What the simulator says of itself. */
  status(): Promise<{ readonly now: string; readonly requests: number; readonly throttled: number }>
  close(): Promise<void>
}

/** `options` are those of the simulator, with `from` at noon. */
export async function simulated({ folder }: Bench, options: Partial<SimulatorOptions>): Promise<Simulated> {
  const child = spawn(process.execPath, [join(root, 'test/bench/feed/server.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PENSTOCK_BENCH_SIMULATOR: JSON.stringify({ from: NOON, requestsPerMinute: 1_000_000, ...options }) },
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  const { origin, cert, tenants } = JSON.parse(line) as { origin: string; cert: string; tenants: object[] }
  await writeFile(join(folder, 'ca.pem'), cert)
  return {
    origin,
    tenants,
    status: () =>
      new Promise((resolve, reject) => {
        request(`${origin}/simulator/status`, { ca: cert }, async answer => {
          let text = ''
          for await (const part of answer) text += String(part)
          resolve(JSON.parse(text))
        })
          .on('error', reject)
          .end()
      }),
    async close() {
      child.kill()
      await once(child, 'close')
    },
  }
}

export interface FeedRun {
  /** Options of the input, beside tenants and addresses. */
  readonly input?: object
  readonly filters?: readonly object[]
  readonly outputs?: readonly object[]
  readonly unmatched?: string
  readonly during?: () => Promise<NodeJS.Signals | undefined>
  /** Keep the state of the run before, and of this one. */
  readonly keepState?: boolean
}

export const OUTPUT = 'feed.ndjson'

/** Runs the engine on a simulated service; what was made before noon unless `input` says otherwise. */
export async function runFeed({ folder }: Bench, engine: Engine, service: Simulated, run: FeedRun): Promise<Usage> {
  const { input, filters = [], during, keepState = false } = run
  const output = join(folder, OUTPUT)
  const pipeline = join(folder, 'feed.yaml')
  const state = join(folder, 'feed-state')
  if (!keepState) await rm(state, { recursive: true, force: true })
  const { origin, tenants } = service
  await writeFile(
    pipeline,
    JSON.stringify({
      name: 'feed',
      inputs: [
        {
          ...{ type: 'o365_activity', id: 'in', tenants, authority_url: origin, api_url: origin, ca: 'ca.pem' },
          ...{ until: new Date(NOON).toISOString(), poll_interval_ms: 200, requests_per_minute: 1_000_000, look_again_ms: 0 },
          ...input,
        },
      ],
      filters,
      ...(run.unmatched !== undefined && { unmatched: run.unmatched }),
      outputs: run.outputs ?? [{ type: 'file', id: 'out', path: output }],
    }),
  )
  const command = penstock(engine, 'run', pipeline, '--state-dir', state, '--no-progress', '--no-summary', '--log-level', 'error')
  return measure(command.args, { folder, output, env: command.env, ...(during && { during }) })
}
