// What stands in events, names of files, ids and options cannot break a line of the log or of a table, nor do anything to a terminal.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { root } from '../kit/cases.ts'
import { penstock } from '../kit/process.ts'
import { prepare, shown, through } from './poison-support.ts'

t.setTimeout(150_000)

/** Each on its own, and with what a newline and an escape sequence would let somebody write. */
const NASTY: Readonly<Record<string, string>> = {
  newline: 'a\n{"level":"error","message":"forged"}',
  return: 'a\rforged',
  ansi: 'a\u001b[8mhidden\u001b]0;title\u0007b',
  'one byte for ESC [': 'a\u009b8mb',
  nul: 'a\0b',
  backspace: 'a\b\b\bforged\u007f',
  'right to left': 'a\u202etxt.exe\u2066b\u200fc',
  'line separator': 'a\u2028forged\u2029b\u0085c',
  'nothing to be seen': 'a\u200b\ufeff\u2060b',
  'half a character': 'a\ud800b',
}
/** What the engine must not let out: controls but the newline, ends of lines, marks of direction, marks that nobody sees. */
const HARMFUL = /[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/

function harmless(t: Test, what: string, text: string): void {
  const found = HARMFUL.exec(text)
  t.notOk(found, found ? `${what}: ${shown(text.slice(Math.max(0, found.index - 60), found.index + 20))}` : what)
  for (const line of text.split('\n'))
    t.notMatch(line, /^(\{"level":"error","message":"forged"|forged)/, `${what}: no line of its own`)
}

const talker = join(import.meta.dirname, 'poison-talker.ts')
const pipeline = {
  name: 'p',
  inputs: [{ type: 'file', paths: ['in/*.ndjson'] }],
  filters: [
    { type: join(import.meta.dirname, 'poison-throws.ts'), id: 'throws' },
    { type: 'ecs', when: 'has(doc.unknown)' },
    { type: 'parse', field: 'json' },
  ],
  outputs: [
    { type: talker, id: 'talker' },
    { type: 'file', id: 'out', path: 'out/%{say:-none}.ndjson' },
    { type: 'tally', tables: [{ title: 'Words', field: 'say', top: 50 }] },
  ],
}

/** Input files with names as bad as what they hold. */
function files(): Record<string, string> {
  const found: Record<string, string> = {}
  Object.values(NASTY).forEach((nasty, n) => {
    const name = nasty.replaceAll('/', '_').replaceAll('\0', '').toWellFormed()
    const records = [
      { say: nasty },
      { say: nasty, refuse: nasty },
      { say: 'x'.repeat(5_000) + nasty },
      { event: { id: nasty }, json: nasty },
      { unknown: 1, [nasty]: 1 },
    ]
    found[`in/${n}${name}.ndjson`] = records.map(record => `${JSON.stringify(record)}\n`).join('')
  })
  const ways = ['message with controls', 'code with controls', 'message of 3 MB', 'half a character']
  found['in/throws.ndjson'] = ways.map(how => `${JSON.stringify({ throw: how })}\n`).join('')
  return found
}

t.test('row 78: nothing breaks a line of the JSON log, or of what the commands print', async t => {
  const cwd = t.testdir({})
  const outcome = await through(cwd, pipeline, { files: files(), args: ['--log-format', 'json'], env: { NODE_OPTIONS: '' } })
  t.equal(outcome.code, 0, shown(outcome.stderr))
  harmless(t, 'the log and the table at the end', outcome.stderr)
  const log = outcome.stderr.split('\n').filter(line => line.startsWith('{'))
  t.ok(log.length >= 2 * Object.keys(NASTY).length, `${log.length} lines`)
  const strings = (value: unknown): string[] =>
    typeof value === 'string' ? [value] : typeof value === 'object' && value ? Object.values(value).flatMap(strings) : []
  for (const line of log) {
    const entry = JSON.parse(line) as Record<string, unknown>
    t.ok('level' in entry && 'time' in entry && 'pipeline' in entry, 'each line is an entry')
    t.ok(
      strings(entry).every(text => text.length < 300),
      'values are capped',
    )
  }
  const entries = log.map(line => JSON.parse(line) as { message: string; user?: string })
  for (const [name, nasty] of Object.entries(NASTY))
    t.ok(
      entries.some(({ message, user }) => message === `about ${nasty}` && user === nasty),
      `${name}: whoever reads the log gets the very text`,
    )
  t.match(outcome.stderr, /talker: degraded: because of /, 'health was told')
  t.match(outcome.stderr, /Said a/, 'and the summary')

  t.ok(outcome.letters.length >= 4 * Object.keys(NASTY).length, `${outcome.letters.length} dead letters`)
  t.ok(
    outcome.letters.every(({ error, code }) => error.length < 3_000 && code.length < 3_000),
    'their reasons are of a sane length',
  )
  const { stdout } = await penstock(['dlq', 'list', '--limit', '1000'], { cwd })
  harmless(t, 'dlq list', stdout)
  t.equal(stdout.split('\n').filter(line => /^#\d+ {2}/.test(line)).length, outcome.letters.length, 'two lines a letter')
  const show = await penstock(['dlq', 'show', ...outcome.letters.map(({ id }) => String(id))], { cwd })
  harmless(t, 'dlq show', show.stdout)
  harmless(t, 'state show', (await penstock(['state', 'show'], { cwd })).stdout)
})

t.test('row 78: nor of the log on a terminal', { skip: whyNoTerminal() }, async t => {
  const cwd = t.testdir({})
  const command = [process.execPath, join(root, 'core/cli/main.ts'), ...prepare(cwd, pipeline, files())]
  const env = { ...process.env, NODE_OPTIONS: '', TERM: 'xterm', NO_COLOR: undefined }
  execFileSync('script', ['-qec', command.map(part => `'${part}'`).join(' '), 'typescript'], { cwd, env, stdio: 'ignore' })
  const typescript = readFileSync(join(cwd, 'typescript'), 'utf8')
  t.match(typescript, /\u001b\[\d+m/, 'there are colours')
  t.match(typescript, /about a\\u000a\{/, 'a newline is shown as what it is')
  // What the engine itself writes: colours, the progress line, and the terminal's own end of a line.
  const own = /\u001b\[\d*(?:;\d+)*m|\r?\u001b\[2K|\r+(?=\n)/g
  t.notMatch(typescript, /\u001b\[8m/)
  harmless(t, 'the terminal', typescript.replaceAll(own, ''))
})

t.test('row 78: nor of what check says of a pipeline', async t => {
  const cwd = t.testdir({})
  const names = Object.values(NASTY).map(nasty => JSON.stringify(nasty.toWellFormed()))
  const steps = (of: (name: string, n: number) => string) => names.map((name, n) => `  - { ${of(name, n)} }\n`).join('')
  const text = `inputs:\n${steps((name, n) => `type: ${name}, id: i${n}`)}filters:\n${steps((name, n) => `type: set, id: s${n}, fields: { ${name}: 1 }, ${name}: 2`)}${steps(
    (name, n) => `type: drop, id: w${n}, when: ${name}`,
  )}${steps((_, n) => `type: "\${NASTY}", id: e${n}`)}outputs:\n${steps((name, n) => `type: file, id: o${n}, path: ${name.replace(/"$/, '%{x}"')}`)}  - type: raw\u009b8m\u202e text # raw\u202e\n    \u2066k: 1\ntests:\n${steps((name, n) => `name: ${name}, input: {}, x${n}: ${name}`)}`
  const good = `inputs: [{ type: stdin }]\noutputs: [{ type: discard }]\ntests:\n${steps(name => `name: ${name}, input: { a: 1 }, output: { a: ${name} }`)}`
  writeFileSync(join(cwd, 'p.yaml'), text)
  writeFileSync(join(cwd, 'bad\n\u001b[8m.yaml'), 'no: 1\n')
  writeFileSync(join(cwd, 'good\n\u001b[8m.yaml'), good)
  const env = { NASTY: 'a\nworkers: 64\n\u001b[8m' }
  const { code, stderr } = await penstock(['check', 'p.yaml', 'bad\n\u001b[8m.yaml'], { cwd, env })
  t.equal(code, 78)
  harmless(t, 'check', stderr)
  const errors = stderr.split('\n').filter(line => /^p\.yaml:\d+:\d+: /.test(line))
  t.ok(errors.length > 5 * names.length, `${errors.length} errors`)
  for (const line of stderr.trimEnd().split('\n'))
    t.match(line, /^(p\.yaml:\d+:\d+: |bad\\u000a\\u001b\[8m\.yaml:1:1: | *\d* \|)/, 'nothing but errors and their lines')
  const tested = await penstock(['test', 'good\n\u001b[8m.yaml'], { cwd })
  t.equal(tested.code, 1)
  harmless(t, 'test', tested.stdout + tested.stderr)
  const wrong = await penstock(['dlq', 'list', '--state-dir', 'no\n\u001b[8m such', '--before', '\u001b[8m'], { cwd })
  harmless(t, 'a wrong command line', wrong.stderr)
})

function whyNoTerminal(): string | false {
  try {
    return /util-linux/.test(execFileSync('script', ['--version'], { encoding: 'utf8' }))
      ? false
      : 'script of util-linux is needed'
  } catch {
    return 'script of util-linux is needed'
  }
}
