// Runs the real program, as a user would.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
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

/** Starts `penstock ARGS`; `ended` resolves when it is over. */
export function start(
  args: readonly string[],
  { cwd, input, env }: RunOptions,
): { readonly child: ChildProcess; readonly ended: Promise<Ran> } {
  const child = spawn(process.execPath, [join(root, 'core/cli/main.ts'), ...args], {
    cwd,
    // A test runner's own preloads are not for the program, and it is not told that npm started the tests.
    env: { ...process.env, NODE_OPTIONS: '', NODE_V8_COVERAGE: undefined, npm_lifecycle_event: undefined, ...env },
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
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }))
  })
  return { child, ended }
}

export function penstock(args: readonly string[], options: RunOptions): Promise<Ran> {
  return start(args, options).ended
}
