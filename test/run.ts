// npm test: type check, lint, the tests of the pipelines, and all test files. Ends in one line with the counts. What the tests said
// and left is searched for the secrets that they plant.
//   npm test                       everything; of the long tests (kills, power cuts, models, fuzz) a tenth
//   npm run test:full              everything, whole
//   npm test -- [--full] FILE …    these test files only
//   npm run test:full -- --long    of the test files only those that have a long form, whole: after an npm test
//   npm run test:services          the tests against real servers (test/services), which it starts; -- --full: more records and kills
//   npm test -- --seed N …         other random choices; "random" picks a seed and prints it
import { type SpawnOptions, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CANARY_VARIABLE, canary, filesWithCanary, findCanary } from './kit/canary.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name: string) => `${root}/node_modules/.bin/${name}`
const { values: flags, positionals: only } = parseArgs({
  allowPositionals: true,
  options: {
    full: { type: 'boolean' },
    long: { type: 'boolean', default: false },
    services: { type: 'boolean', default: false },
    seed: { type: 'string' },
  },
})
if (flags.full) process.env['PENSTOCK_TEST_FULL'] = '1'
if (flags.seed !== undefined) {
  const seed = flags.seed === 'random' ? Math.floor(Math.random() * 1e9) : Number(flags.seed)
  if (!Number.isInteger(seed)) throw new Error(`--seed takes a whole number or "random", not ${flags.seed}`)
  process.env['PENSTOCK_TEST_SEED'] = String(seed)
  console.log(`seed ${seed}`)
}
// mkfs and losetup lie where not every user's path leads.
if (process.platform === 'linux') process.env['PATH'] += ':/usr/sbin:/sbin'
// Every process that the tests start has a secret to keep.
process.env[CANARY_VARIABLE] = canary('env')
let passed = 0
let failed = 0
/** Where a secret was said. */
const said: string[] = []

function run(command: string, args: readonly string[], onLine?: (line: string) => void): Promise<number> {
  const to = onLine ? 'pipe' : 'inherit'
  const options: SpawnOptions = { cwd: root, stdio: ['ignore', to, to] }
  const child = spawn(command, args, options)
  const listen = (stream: typeof child.stdout, take: (line: string) => void) => {
    let rest = ''
    const heard = (line: string) => {
      const place = findCanary(line)
      if (place !== undefined) said.push(`the output of the tests, behind ${place}`)
      take(line)
    }
    stream?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      lines.forEach(heard)
    })
    stream?.on('end', () => {
      if (rest !== '') heard(rest)
    })
  }
  listen(child.stdout, line => onLine?.(line))
  listen(child.stderr, line => console.error(line))
  return new Promise((resolve, reject) => child.on('error', reject).on('close', code => resolve(code ?? 1)))
}

/** One step that counts as one test. */
async function step(name: string, command: string, args: readonly string[]): Promise<void> {
  const started = performance.now()
  const code = await run(command, args)
  if (code === 0) passed++
  else failed++
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'}  ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)`)
}

async function filesOf(pattern: string): Promise<string[]> {
  const files: string[] = []
  for await (const file of glob(pattern, { cwd: root })) files.push(file)
  return files.sort()
}

/** The tests of every pipeline that has some, as `penstock test` runs them. */
async function pipelineTests(): Promise<void> {
  const files = await filesOf('pipelines/*.yaml')
  const code = await run(process.execPath, ['core/cli/main.ts', 'test', ...files], line => {
    const counts = /^(\d+) passed, (\d+) failed$/.exec(line)
    if (!counts) console.log(line)
    passed += Number(counts?.[1] ?? 0)
    failed += Number(counts?.[2] ?? 0)
  })
  if (code !== 0 && failed === 0) failed++
}

/** Runs the test files with tap, shows what fails and what was skipped, and counts assertions' tests by their TAP lines. */
async function testFiles(files: readonly string[]): Promise<void> {
  // tap builds its own class once, into node_modules; what says so must go with them.
  const built = `${root}/node_modules/.cache/tap-built`
  if (!existsSync(built) && (await run(bin('tap'), ['build'])) === 0) {
    mkdirSync(dirname(built), { recursive: true })
    writeFileSync(built, '')
  }
  let inFailure = false
  // Servers take their time to start, and a core or two.
  const [jobs, seconds] = flags.services ? [1, 3_600] : [2, flags.full ? 1_800 : 150]
  const args = ['run', '--reporter=tap', '--disable-coverage', `--jobs=${jobs}`, `--timeout=${seconds}`, ...files]
  const code = await run(bin('tap'), args, line => {
    // Depth 1: the tests of a file; deeper lines are their assertions.
    const result = /^ {4}(not )?ok \d+ - (.*)$/.exec(line)
    if (result) {
      const [, not, name = ''] = result
      inFailure = not !== undefined && !/ # (SKIP|TODO)/.test(name)
      if (/ # SKIP/.test(name)) console.log(`skipped  ${name}`)
      else if (inFailure) failed++
      else passed++
    }
    const file = /^(not )?ok \d+ - (\S+)(?: # time=([\d.]+)ms)?/.exec(line)
    if (file) console.log(`${file[1] ? 'FAILED' : 'ok    '}  ${file[2]} (${(Number(file[3] ?? 0) / 1000).toFixed(1)} s)`)
    // What tests have to say: seeds, what was left out and why, differences that are meant.
    const comment = /^ {4,8}# (?!Subtest|time=|\{)(.*)/.exec(line)
    if (comment) console.log(`        ${comment[1]}`)
    if (/^\s+not ok/.test(line)) console.log(line)
    else if (inFailure && /^\s{8,}/.test(line)) console.log(line)
    if (/^not ok/.test(line) && failed === 0) failed++
  })
  if (code !== 0 && failed === 0) failed++
}

/** True where a test, or what it is made of, is longer in a full run. */
function reaches(file: string, seen = new Set<string>()): boolean {
  const path = resolve(root, file)
  if (seen.has(path) || !existsSync(path)) return false
  seen.add(path)
  const text = readFileSync(path, 'utf8')
  if (/\bfrom '[./]*(?:kit\/)?rounds\.ts'/.test(text)) return true
  const imports = [...text.matchAll(/\bfrom '(\.[^']+\.ts)'/g)].map(([, to]) => resolve(dirname(path), to as string))
  return imports.some(to => to.startsWith(resolve(root, 'test')) && reaches(to, seen))
}

/** The secrets that were planted stand neither in what the tests said nor in what they left. */
async function noSecretIsLeft(): Promise<void> {
  const started = performance.now()
  for (const folder of ['.tap/fixtures', '.tap/test-results', 'out', 'state'])
    said.push(...(await filesWithCanary(`${root}/${folder}`)))
  if (said.length === 0) passed++
  else failed++
  for (const place of new Set(said)) console.log(`a secret stands in ${place}`)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${said.length === 0 ? 'ok    ' : 'FAILED'}  no secret is left behind (${seconds} s)`)
}

const started = performance.now()
if (only.length > 0) await testFiles(only)
else if (flags.long) await testFiles((await filesOf('test/{core,plugins,faults}/**/*.test.ts')).filter(file => reaches(file)))
else if (flags.services) await testFiles(await filesOf('test/services/**/*.test.ts'))
else {
  await step('types', bin('tsc'), ['-p', '.'])
  await step('lint', bin('biome'), ['check'])
  await pipelineTests()
  await testFiles(await filesOf('test/{core,plugins,faults}/**/*.test.ts'))
}
await noSecretIsLeft()
console.log(`in ${((performance.now() - started) / 1000).toFixed(0)} s`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
