// Runs a process and measures it: wall time, CPU time, memory, and when its first output was there.
import { spawn } from 'node:child_process'
import { readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export interface Usage {
  readonly wallMs: number
  /** User and system time of all its threads. */
  readonly cpuMs: number
  readonly rssMb: number
  /** Memory four times a second, MB. */
  readonly course: readonly number[]
  /** From the start of the process to the first byte of output. */
  readonly firstMs: number
  readonly stdout: string
}

export interface MeasureOptions {
  /** Working folder; what is measured is written there too. */
  readonly folder: string
  /** File whose first byte counts, and which is removed before. */
  readonly output?: string
  readonly env?: NodeJS.ProcessEnv
  /** Called when the process runs; a process that does not end by itself is ended by what this resolves to. */
  readonly during?: () => Promise<NodeJS.Signals | undefined>
}

const PRELOAD = fileURLToPath(new URL('usage.ts', import.meta.url))
const LOOK_MS = 2
const ENDING_MS = 60_000

/** @throws when the process ends with another code than 0 */
export async function measure(args: readonly string[], { folder, output, env, during }: MeasureOptions): Promise<Usage> {
  if (output !== undefined) await rm(output, { force: true })
  const usage = join(folder, 'usage.json')
  const started = performance.now()
  const child = spawn(process.execPath, ['--import', PRELOAD, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env, PENSTOCK_BENCH_USAGE: usage },
  })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  let over = false
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject).on('close', code => {
      over = true
      resolve(code)
    })
  })
  const first = async (): Promise<number> => {
    if (output === undefined) return Number.NaN
    while (!over) {
      if ((await stat(output).catch(() => undefined))?.size) return performance.now() - started
      await sleep(LOOK_MS)
    }
    return Number.NaN
  }
  const watching = first()
  const signal = await during?.()
  if (signal) child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), during ? ENDING_MS : 2 ** 31 - 1)
  const code = await ended
  clearTimeout(timer)
  const wallMs = performance.now() - started
  if (code !== 0) throw new Error(`${args.join(' ')} ended with code ${code}`)
  const measured = JSON.parse(await readFile(usage, 'utf8')) as Pick<Usage, 'cpuMs' | 'rssMb' | 'course'>
  return { wallMs, firstMs: await watching, stdout, ...measured }
}
