// The real program under the soak: started, killed or stopped, asked for its metrics.
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { metricsIn, type Sample } from './samples.ts'

const MB = 1 << 20
const MAIN = fileURLToPath(new URL('../../core/cli/main.ts', import.meta.url))

export interface Engine {
  /** Resolves with its exit code or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
  readonly over: boolean
  /** Lines of its log that say that an output was in trouble, by the text of the error. */
  readonly troubles: ReadonlyMap<string, number>
  /** The last lines of its log. */
  readonly log: readonly string[]
  kill(signal: NodeJS.Signals): void
  /** Undefined while it does not answer. */
  sample(): Promise<Sample | undefined>
}

const KEPT_LINES = 30

export function startEngine(folder: string): Engine {
  const begun = performance.now()
  const args = [MAIN, 'run', 'soak.yaml', '--no-progress', '--no-summary', '--log-format', 'json']
  const env = { ...process.env, NODE_OPTIONS: '', npm_lifecycle_event: undefined }
  const child: ChildProcess = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  const troubles = new Map<string, number>()
  const log: string[] = []
  let port: number | undefined
  let over = false
  let rest = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      log.push(line)
      if (log.length > KEPT_LINES) log.shift()
      port ??= Number(/"port":(\d+)/.exec(line)?.[1] ?? Number.NaN) || undefined
      if (!line.includes('trying again')) continue
      const error = /"error":"([^"]*)"/.exec(line)?.[1] ?? line
      troubles.set(error, (troubles.get(error) ?? 0) + 1)
    }
  })
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      over = true
      resolve(signal ?? code ?? -1)
    })
  })

  return {
    ended,
    get over() {
      return over
    },
    troubles,
    log,
    kill: signal => void child.kill(signal),
    async sample() {
      if (!port || over) return undefined
      const text = await ask(port).catch(() => undefined) // it may be killed at this moment
      if (text === undefined) return undefined
      const metrics = metricsIn(text)
      const of = (name: string) => metrics.get(name) ?? Number.NaN
      return {
        at: performance.now() - begun,
        values: {
          RSS: of('process_resident_memory_bytes') / MB,
          'heap in use': of('nodejs_heap_size_used_bytes') / MB,
          'handles and requests': of('nodejs_active_resources_total'),
          'open files': of('process_open_fds'),
          'state folder': sizeOf(join(folder, 'state')) / MB,
        },
      }
    },
  }
}

function ask(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/metrics', agent: false, timeout: 5_000 }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', part => {
        text += part
      })
      response.on('end', () => resolve(text)).on('error', reject)
    })
      .on('error', reject)
      .on('timeout', () => reject(new Error('no answer')))
  })
}

function sizeOf(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}
