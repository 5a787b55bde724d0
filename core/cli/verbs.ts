// The verbs of the command line: one file each; a plugin may bring more.
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
}

/** Runs a command line and gives the exit code. Never throws. */
export async function main(args: readonly string[]): Promise<number> {
  // A reader that goes away (`penstock plugins | head -1`) is no error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
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
    if (rest.includes('--help') || rest.includes('-h')) {
      process.stdout.write(`${await helpOf(name)}\n`)
      return EXIT.ok
    }
    return await (await find(name)).run(rest)
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
    process.stderr.write(`${paint('red', 'penstock:')} ${error.message}\n`)
    // An error without a code is a fault of the program: its place helps whoever reports it.
    if (!(error instanceof PenstockError) && !(error as { code?: string }).code) process.stderr.write(`${error.stack ?? ''}\n`)
  }
  return exitCodeOf(error)
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
