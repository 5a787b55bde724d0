// Azurite for a test: started, killed and started again by the scripts beside this file.
import { spawn, spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { until } from '../../kit/until.ts'

/** The account that every Azurite has, and the key that Microsoft publishes for it. */
export const ACCOUNT = 'devstoreaccount1'
export const ACCOUNT_KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='

export interface Azurite {
  readonly port: number
  /** URL of the Blob service of its account. */
  readonly endpoint: string
  /** Resolves when all that it has confirmed until now lies on the disk: it writes its list of blobs every few seconds, if it changed. */
  flushed(): Promise<void>
  /** Ends it at once, as a crash would. Started again with the same folder and port it goes on. */
  kill(): Promise<void>
}

export function endpointOn(port: number): string {
  return `http://127.0.0.1:${port}/${ACCOUNT}`
}

/** Why no Azurite can be had on this machine, for a skip to say; undefined where one can. */
export function azuriteMissing(): string | undefined {
  const lacking = ['bash', 'npm', 'flock'].filter(program => spawnSync('which', [program]).status !== 0)
  return lacking.length > 0 ? `Azurite needs ${lacking.join(', ')}` : undefined
}

/** Starts it on loopback and waits until it listens; the first one is installed. `port`: 0 lets the system choose. */
export async function startAzurite(
  t: { teardown(fn: () => unknown): void },
  { folder, port = 0 }: { readonly folder: string; readonly port?: number },
): Promise<Azurite> {
  const path = `${dirname(process.execPath)}:${process.env['PATH']}`
  // The test runner loads itself into every Node that is started; env(1) comes after it.
  const child = spawn('env', ['NODE_OPTIONS=', join(import.meta.dirname, 'start'), folder, String(port)], {
    env: { ...process.env, PATH: path },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const end = () => child.kill('SIGKILL')
  process.once('exit', end)
  const closed = new Promise<void>(resolve => child.on('close', () => resolve()))
  const kill = async () => {
    end()
    await closed
    process.off('exit', end)
  }
  t.teardown(kill)
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-4000)
    })
  const listening = await until(
    () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Azurite ended at its start:\n${said}`)
      return /successfully listens on http:\/\/[^:]+:(\d+)/i.exec(said)?.[1]
    },
    () => `Azurite does not listen:\n${said}`,
    { ms: 300_000, every: 50 },
  )
  const list = join(folder, '__azurite_db_blob__.json')
  return {
    port: Number(listening),
    endpoint: endpointOn(Number(listening)),
    async flushed() {
      const written = () => {
        try {
          return statSync(list).mtimeMs
        } catch {
          return 0
        }
      }
      const now = Date.now()
      await until(
        () => written() > now,
        () => 'Azurite does not write its list of blobs',
        { every: 50 },
      )
    },
    kill,
  }
}
