// The verbs of the command line: one file each; a plugin may bring more.
import { visible } from '../observe/text.ts'
import type { Verb } from '../plugin/define.ts'
import { asError, PenstockError } from '../plugin/errors.ts'
import { EXIT, EXIT_MEANINGS, exitCodeOf } from './exit-codes.ts'
import { columns, painter } from './terminal.ts'

/** A verb's file is loaded when it is called: `run` must not wait for the others. */
const CORE: Readonly<Record<string, () => Promise<{ verb: Verb }>>> = {
  run: () => import('./run.ts'),
  check: () => import('./check.ts'),
  test: () => import('./test.ts'),
  plugins: () => import('./plugins.ts'),
  dlq: () => import('./dlq.ts'),
  state: () => import('./state.ts'),
  setup: () => import('./setup.ts'),
}

/** Runs a command line and gives the exit code. Never throws. */
export async function main(args: readonly string[]): Promise<number> {
  let unwritten: NodeJS.ErrnoException | undefined
  // A reader that goes away (`penstock plugins | head -1`) is no error. `run` looks to it itself.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') unwritten = error
  })
  // A log that cannot be written (its disk is full) must not end what it tells of.
  process.stderr.on('error', () => {})
  // Node itself would print all that hangs on an error: a plugin's options, for instance, and the secrets in them.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (thrown: unknown) => {
      // A supervisor that listens too knows which pipeline it belongs to.
      if (process.listenerCount(event) === 1) process.exit(tell(asError(thrown)))
    })
  }
  const [name, ...rest] = args
  try {
    if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
      const of = name === 'help' ? rest[0] : undefined
      process.stdout.write(of ? `${await helpOf(of)}\n` : `${await help()}\n`)
      return name === undefined ? EXIT.usage : EXIT.ok
    }
    if (name === '--version' || name === '-v' || name === 'version') {
      process.stdout.write(`${await version()}\n`)
      return EXIT.ok
    }
    const isHelp = (arg: string) => arg === '--help' || arg === '-h'
    // What follows the name of an output is for its plugin.
    if (name === 'setup' ? rest[0] !== undefined && isHelp(rest[0]) : rest.some(isHelp)) {
      process.stdout.write(`${await helpOf(name)}\n`)
      return EXIT.ok
    }
    const code = await (await find(name)).run(rest)
    if (!unwritten || name === 'run' || code !== EXIT.ok) return code
    throw new PenstockError('PEN_STDOUT', `standard output cannot be written: ${unwritten.message}`, { cause: unwritten })
  } catch (thrown) {
    return tell(asError(thrown))
  }
}

/** Prints an error as a person needs it, and gives the exit code it stands for. */
export function tell(error: Error): number {
  const paint = painter(process.stderr)
  const { format } = error as { format?: (options: { color: boolean }) => string }
  if (format) process.stderr.write(`${format.call(error, { color: paint('red', '') !== '' })}\n`)
  else {
    process.stderr.write(`${paint('red', 'penstock:')} ${lines(error.message)}\n`)
    // An error without a code is a fault of the program: its place helps whoever reports it.
    if (!(error instanceof PenstockError) && !(error as { code?: string }).code)
      process.stderr.write(`${lines(error.stack ?? '')}\n`)
  }
  if (/\b(EMFILE|ENFILE)\b|too many open files/.test(error.message))
    process.stderr.write('the process may open no more files: raise its limit (ulimit -n, or LimitNOFILE of its service)\n')
  return exitCodeOf(error)
}

/** Text of several lines without anything else that would do what it says. */
function lines(text: string): string {
  return text.split('\n').map(visible).join('\n')
}

async function find(name: string): Promise<Verb> {
  const core = CORE[name]
  if (core && Object.hasOwn(CORE, name)) return (await core()).verb
  const brought = (await broughtByPlugins()).get(name)
  if (brought) return brought
  const { didYouMean } = await import('../config/suggest.ts')
  throw new PenstockError(
    'PEN_USAGE',
    `there is no command ${name}${didYouMean(name, Object.keys(CORE))} (penstock --help lists them)`,
  )
}

async function broughtByPlugins(): Promise<Map<string, Verb>> {
  const { listPlugins } = await import('../plugin/registry.ts')
  const verbs = new Map<string, Verb>()
  for (const { plugin } of await listPlugins())
    for (const [name, verb] of Object.entries(plugin.verbs ?? {})) verbs.set(name, verb)
  return verbs
}

async function helpOf(name: string): Promise<string> {
  const { summary, usage } = await find(name)
  return `${summary}.\n\n${usage.trim()}`
}

async function help(): Promise<string> {
  const rows: string[][] = []
  for (const [name, load] of Object.entries(CORE)) rows.push([name, (await load()).verb.summary])
  for (const [name, verb] of await broughtByPlugins()) rows.push([name, verb.summary])
  return `Penstock ${await version()}: moves Microsoft 365 logs through pipelines of input, filter and output plugins, and loses none.

Usage: penstock COMMAND [ARGUMENT …]

Commands
${columns(rows, [], '  ')}

penstock COMMAND --help explains a command, with examples.

Examples
  penstock check pipelines/quickstart.yaml      find every mistake in a pipeline before it runs
  penstock run pipelines/quickstart.yaml        run it until its inputs have ended
  penstock plugins filter ecs                   what the ecs filter does, and its options
  penstock dlq list                             what could not be handled, and why

Exit codes
${columns(
  EXIT_MEANINGS.map(([code, meaning]) => [String(code), meaning]),
  [0],
  '  ',
)}`
}

async function version(): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  for (const up of ['../..', '../../..']) {
    try {
      const { name, version } = JSON.parse(await readFile(new URL(`${up}/package.json`, import.meta.url), 'utf8')) as Record<
        string,
        string
      >
      if (name === 'penstock' && version) return version
    } catch {
      // the compiled package lies one folder deeper
    }
  }
  return 'unknown'
}
