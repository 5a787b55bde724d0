// Runs the real program, as a user would, with a secret in its environment that it must not show.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { CANARY_VARIABLE, canary, leaks } from './canary.ts'
import { root } from './cases.ts'

export interface Ran {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd: string
  readonly input?: string | Buffer
  readonly env?: NodeJS.ProcessEnv
}

/** Starts `penstock ARGS`; `ended` resolves when it is over, and rejects when it said a secret or left one in a file of its folder. */
export function start(
  args: readonly string[],
  { cwd, input, env }: RunOptions,
): { readonly child: ChildProcess; readonly ended: Promise<Ran> } {
  const command = [process.execPath, join(root, 'core/cli/main.ts'), ...args]
  // The test runner loads itself into every Node that is started, whatever `env` says; env(1) comes after it and keeps the process's id.
  const bare = process.platform === 'win32' ? command : ['env', `NODE_OPTIONS=${env?.['NODE_OPTIONS'] ?? ''}`, ...command]
  const child = spawn(bare[0] as string, bare.slice(1), {
    cwd,
    // The program is not told that npm started the tests.
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      NODE_V8_COVERAGE: undefined,
      npm_lifecycle_event: undefined,
      [CANARY_VARIABLE]: canary('env'),
      ...env,
    },
    stdio: 'pipe',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  child.stdin.on('error', () => {}) // a program that ended before it had read its input
  child.stdin.end(input ?? '')
  const ended = new Promise<Ran>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', async (code, signal) => {
      const wrong = await leaks(cwd, { stdout, stderr })
      if (wrong.length === 0) resolve({ code, signal, stdout, stderr })
      else reject(new Error(`penstock ${args.join(' ')}: ${wrong.join('; ')}`))
    })
  })
  return { child, ended }
}

export function penstock(args: readonly string[], options: RunOptions): Promise<Ran> {
  return start(args, options).ended
}
