// A copy of the checkout that may be broken: its files are copied, its node_modules are the same.
import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** How the run of a test file ended. */
export interface TestRun {
  readonly outcome: 'passed' | 'failed' | 'hang'
  readonly seconds: number
  /** The test that failed. */
  readonly title: string
  /** The end of what it printed. */
  readonly output: string
}

export interface Checkout {
  readonly folder: string
  read(file: string): Promise<string>
  write(file: string, text: string): Promise<void>
  /** True when Node can parse the file: a fault that is a slip of the pen would be seen by any test. */
  parses(file: string): Promise<boolean>
  /** Runs a test as mutants name it. */
  test(test: string, limitMs: number): Promise<TestRun>
}

interface Ended {
  readonly code: number | null
  readonly late: boolean
  readonly output: string
}

const OUTPUT_CHARS = 3_000

/** Copies what git knows or would know of `root`, with changes that are not committed. `signal` ends what runs in it. */
export async function copyCheckout(root: string, folder: string, signal: AbortSignal): Promise<Checkout> {
  const { stdout } = await promisify(execFile)('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    maxBuffer: 1 << 26,
  })
  for (const file of stdout.split('\0')) {
    if (!file || !existsSync(join(root, file))) continue
    await mkdir(dirname(join(folder, file)), { recursive: true })
    await cp(join(root, file), join(folder, file))
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  const temporary = join(folder, '.tmp')
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    // The first failure is enough; the limit of time is this program's own.
    TAP_BAIL: '1',
    TAP_TIMEOUT: '3600',
    TMPDIR: temporary,
    // Compiled faults are not for the caches of the checkout.
    XDG_CACHE_HOME: join(folder, '.cache'),
    NODE_COMPILE_CACHE: join(folder, '.cache/node'),
    NODE_OPTIONS: '',
  }

  const run = (args: readonly string[], limitMs: number, more?: NodeJS.ProcessEnv): Promise<Ended> =>
    new Promise((resolve, reject) => {
      // A process group of its own: what a test started ends with it.
      const child = spawn(process.execPath, args, {
        cwd: folder,
        env: { ...env, ...more },
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      let late = false
      const end = () => {
        try {
          if (child.pid) process.kill(-child.pid, 'SIGKILL')
        } catch {
          // nothing of it is left
        }
      }
      const timer = setTimeout(() => {
        late = true
        end()
      }, limitMs)
      signal.addEventListener('abort', end)
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (output += text))
      child.on('error', reject)
      // Not `close`: a child of the child may hold the pipes open.
      child.on('exit', code => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        end()
        setImmediate(() => resolve({ code, late, output }))
      })
    })

  return {
    folder,
    read: file => readFile(join(folder, file), 'utf8'),
    write: (file, text) => writeFile(join(folder, file), text),
    async parses(file) {
      return (await run(['--check', file], 30_000)).code === 0
    },
    async test(test, limitMs) {
      const [file, title] = test.split(' > ')
      // What a killed test left behind must not spoil the next one.
      for (const left of ['.tap', '.tmp']) await rm(join(folder, left), { recursive: true, force: true })
      await mkdir(temporary)
      const started = performance.now()
      const { code, late, output } = await run([`test/${file}.test.ts`], limitMs, title ? { TAP_GREP: literally(title) } : {})
      const seconds = (performance.now() - started) / 1_000
      const ran = /^ok \d+ - (?!.*# SKIP)/m.test(output)
      const outcome = late ? 'hang' : code === 0 && ran ? 'passed' : 'failed'
      return { outcome, seconds, title: titleIn(output, late), output: output.slice(-OUTPUT_CHARS) }
    },
  }
}

/** A pattern for exactly this title. */
function literally(title: string): string {
  return `/^${title.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$/`
}

/** The title of the failed test at the top of the file, or of the last one that said something before the time was over. */
function titleIn(output: string, late: boolean): string {
  const failed = /^not ok \d+ - (.*?)(?: # .*)?$/m.exec(output)?.[1]
  const begun = [...output.matchAll(/^# Subtest: (.*)$/gm)].at(-1)?.[1]
  if (late) return begun ? `after ${begun}` : '(the file itself)'
  return failed ?? begun ?? '(the file itself)'
}
