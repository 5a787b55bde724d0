// Hostile and unlucky YAML: each is an error at its place, or harmless, and soon said.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { start } from '../kit/process.ts'
import { shown } from './poison-support.ts'

t.setTimeout(150_000)

const MIB = 1024 * 1024
/** A run that takes longer than this was stopped: no file here may take anything like it. */
const DEADLINE_MS = 60_000
const GOOD = 'inputs: [{ type: stdin }]\noutputs: [{ type: discard }]\n'
/** A variable as pipelines name it. */
const EVIL = `\${EVIL}`
const NONE = `\${NONE}`
const utf8 = (text: string) => Buffer.from(text)

/** What check must say: a place and a part of the sentence; or that the pipeline is right. */
type Said = readonly [line: number, column: number, part: string] | 'ok'
/** Where the parser gives up on nesting is not for tests to know. */
const ANY = 0

interface Poison {
  readonly text: string | Buffer
  readonly said: Said
}

/** Text at the place of a pipeline's fourth line, which is wrong in its third. */
const after = (text: string, column: number, part: string, line = 3): Poison => ({
  text: GOOD + text,
  said: [line, column, part],
})
const good = (text: string | Buffer): Poison => ({ text, said: 'ok' })

const TAGS = ['!!js/function', '!!js/regexp', '!!python/object/apply:os.system', '!!binary', '!!timestamp', '!secret', '!<x:y>']
const bomb = [...'bcdefghi'].map((name, n) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[n]}`).join(',')}]\n`).join('')

const POISONS: Readonly<Record<string, Poison>> = {
  'alias-bomb': { text: `a: &a [x,x,x,x,x,x,x,x,x]\n${bomb}${GOOD}`, said: [1, 1, 'the file has more than 100000 values'] },
  'many-aliases': {
    text: `x: &x [${'a,'.repeat(999)}a]\ny: [${'*x,'.repeat(999)}*x]\n${GOOD}`,
    said: [1, 1, 'the file has more than 100000 values'],
  },
  'contains-itself': { text: `x: &a [*a]\n${GOOD}`, said: [1, 8, 'stands inside of what it repeats'] },
  'contains-itself-deep': { text: `x: &a { b: [{ c: *a }] }\n${GOOD}`, said: [1, 18, 'stands inside of what it repeats'] },
  'merges-itself': { text: `x: &a { <<: *a }\n${GOOD}`, said: [1, 13, 'stands inside of what it repeats'] },
  'no-anchor': after('x: *nobody\n', 4, 'there is no anchor &nobody'),
  'key-is-its-alias': after('&a a: *a\n', 7, 'there is no anchor &a before'),
  'deep-flow': { text: '['.repeat(2_000), said: [1, ANY, 'more than 64 levels'] },
  'deep-maps': { text: '{a: '.repeat(2_000), said: [1, ANY, 'more than 64 levels'] },
  'deep-dashes': { text: '- '.repeat(2_000), said: [1, ANY, 'more than 64 levels'] },
  'deep-keys': { text: '? '.repeat(2_000), said: [1, ANY, 'more than 64 levels'] },
  'deep-block': {
    text: Array.from({ length: 1_400 }, (_, n) => `${' '.repeat(n)}a:\n`).join(''),
    said: [ANY, ANY, 'more than 64 levels'],
  },
  'key-twice': after('name: a\nname: b\n', 1, 'name is given twice; the first is in line 3', 4),
  'key-twice-quoted': after('name: a\n"na\\x6de": b\n', 1, 'name is given twice', 4),
  'key-twice-in-a-step': {
    text: 'inputs: [{ type: stdin, type: file }]\noutputs: [{ type: discard }]\n',
    said: [1, 25, 'type is given twice'],
  },
  ...Object.fromEntries(
    TAGS.map((tag, n) => [`tag-${n}`, after(`description: ${tag} aGVsbG8=\n`, 14, 'tags have no meaning here')]),
  ),
  proto: after('__proto__: { polluted: true }\n', 1, '__proto__ is never a key'),
  'proto-quoted': after('"__pro\\x74o__": { polluted: true }\n', 1, '__proto__ is never a key'),
  'proto-merged': {
    text: 'inputs: [{ type: stdin, <<: { __proto__: { polluted: true } } }]\noutputs: [{ type: discard }]\n',
    said: [1, 31, '__proto__ is never a key'],
  },
  'proto-in-an-option': {
    text: `filters: [{ type: set, fields: { a: { b: [{ __proto__: { polluted: true } }] } } }]\n${GOOD}`,
    said: [1, 45, '__proto__ is never a key'],
  },
  'proto-in-a-test': after('tests: [{ name: a, input: { __proto__: { a: 1 } }, output: {} }]\n', 29, '__proto__ is never a key'),
  constructor: after('constructor: { prototype: { polluted: true } }\n', 1, 'unknown option constructor'),
  'method-as-option': {
    text: 'inputs: [{ type: stdin, toString: 1 }]\noutputs: [{ type: discard }]\n',
    said: [1, 25, 'unknown option toString'],
  },
  'method-as-plugin': {
    text: 'inputs: [{ type: hasOwnProperty }]\noutputs: [{ type: discard }]\n',
    said: [1, 18, 'unknown input'],
  },
  'unknown-key': after('hots: x\n', 1, 'unknown option hots'),
  'merge-of-text': { text: `<<: x\n${GOOD}`, said: [1, 5, '<< takes a map'] },
  'key-is-a-list': { text: `? [a]\n: b\n${GOOD}`, said: [1, 3, 'a key must be a plain name'] },
  'key-is-a-map': { text: `{ a: b }: c\n${GOOD}`, said: [1, 1, 'a key must be a plain name'] },
  'env-as-yaml': after(`name: ${EVIL}\n`, 7, 'name takes the characters'),
  'env-as-number': after(`workers: ${EVIL}\n`, 10, 'workers must be a whole number'),
  'env-in-an-expression': after(
    `filters: [{ type: drop, when: "${EVIL}" }]\n`,
    32,
    'environment variables are not filled into expressions',
  ),
  'env-as-key': after(`${EVIL}: 1\n`, 1, `unknown option ${EVIL}`),
  'norway-number': after('workers: yes\n', 10, 'not "yes"'),
  'norway-sixty': after('workers: 1:30\n', 10, 'not "1:30"'),
  'norway-grouped': after('workers: 1_0\n', 10, 'write 10'),
  'norway-name': after('name: 1e3\n', 7, 'name must be text, not the number 1000'),
  'norway-of-old': { text: `%YAML 1.1\n---\n${GOOD}name: no\n`, said: [5, 7, 'name must be text'] },
  'norway-null': after('name: ~\n', 7, 'name must be text'),
  'norway-nothing': after('name:\n', 6, 'name must be text, not nothing'),
  'not-a-number': after('workers: .nan\n', 10, 'workers must be a whole number'),
  infinite: after('grace_ms: .inf\n', 11, 'grace_ms must be a whole number'),
  'too-many-digits': after('grace_ms: 9007199254740993\n', 11, 'grace_ms must be'),
  nul: after('name: a\0b\n', 7, 'not "a\\u0000b"'),
  'nul-at-the-end': after('\0', 1, 'is missing after this key'),
  'mark-in-the-middle': after('\uFEFFname: x\n', 1, 'unknown option \\ufeffname'),
  'escape-sequence': after('description: \u001b[31mred: x\n', 14, 'a second ": " in one line'),
  tabs: { text: 'inputs:\n\t- type: stdin\n', said: [2, 1, 'YAML takes no tabs'] },
  'carriage-returns': { text: GOOD.replaceAll('\n', '\r'), said: [1, 26, 'something follows the end'] },
  utf16: { text: Buffer.from(`\uFEFF${GOOD}`, 'utf16le'), said: [1, 1, 'the file is not UTF-8'] },
  'utf16-swapped': { text: Buffer.from(`\uFEFF${GOOD}`, 'utf16le').swap16(), said: [1, 1, 'the file is not UTF-8'] },
  'utf16-unmarked': { text: Buffer.from(GOOD, 'utf16le'), said: [1, 1, 'a pipeline is a map'] },
  latin1: { text: Buffer.from(`${GOOD}description: caf\xe9\n`, 'latin1'), said: [1, 1, 'the file is not UTF-8'] },
  'one-byte-too-many': { text: `${GOOD}${'#'.repeat(MIB - GOOD.length + 1)}`, said: [1, 1, `it may have at most ${MIB}`] },
  'long-line': after(`description: "${'x'.repeat(900_000)}"\nhots: 1\n`, 1, 'unknown option hots', 4),
  'long-line-with-the-error': after(`hots: "${'x'.repeat(900_000)}"\n`, 1, 'unknown option hots'),
  'long-value': after(`workers: ${'y'.repeat(900_000)}\n`, 10, 'workers must be a whole number, not "yyy'),
  empty: { text: '', said: [1, 1, 'the file is empty'] },
  'only-a-comment': { text: '# nothing\n', said: [1, 1, 'the file is empty'] },
  'only-text': { text: 'hello\n', said: [1, 1, 'a pipeline is a map'] },
  'only-a-list': { text: '- a\n', said: [1, 1, 'a pipeline is a map'] },
  'two-documents': { text: `${GOOD}---\n${GOOD}`, said: [3, 1, 'a pipeline file holds one document'] },
  // These are harmless.
  'ok-all-of-a-mebibyte': good(`${GOOD}${'#'.repeat(MIB - GOOD.length)}`),
  'ok-mark': good(Buffer.concat([utf8('\uFEFF'), utf8(GOOD)])),
  'ok-crlf': good(GOOD.replaceAll('\n', '\r\n')),
  'ok-norway': good(`${GOOD}name: off\ndescription: NO\n`),
  'ok-octal': good(`${GOOD}workers: 0o2\n`),
  'ok-env': good(`${GOOD}description: ${EVIL}\n`),
  'ok-separators': good(`${GOOD}description: a\u2028b\u0085c\n`),
  'ok-half-a-character': good(`${GOOD}description: "\\ud800"\n`),
}

/** Each of them was a matter of minutes, where every character or entry was compared with all others. */
const SLOW: Readonly<Record<string, Poison>> = {
  'slow-word': after(`${'k'.repeat(250_000)}: 1\n`, 1, 'at most 1024 chars'),
  'slow-brackets': { text: `a: "${'['.repeat(250_000)}" x\n`, said: [1, 250_007, 'something follows'] },
  'slow-references': after(`description: "${`${NONE} `.repeat(15_000)}"\n`, 15, 'the environment variable NONE is not set'),
  'slow-references-in-a-block': after(`description: |\n${`  ${NONE}\n`.repeat(20_000)}`, 3, 'NONE is not set', 4),
  'slow-aliases': after(
    `x:\n${Array.from({ length: 16_000 }, (_, n) => `- &a${n} 1\n- *b${n}\n`).join('')}`,
    3,
    'there is no anchor &b0',
    5,
  ),
}

async function check(t: Test, poisons: Readonly<Record<string, Poison>>): Promise<void> {
  const cwd = t.testdir({})
  for (const [name, { text }] of Object.entries(poisons)) writeFileSync(join(cwd, `${name}.yaml`), text)
  const files = Object.keys(poisons).map(name => `${name}.yaml`)
  const env = { EVIL: 'x\nworkers: 64\n__proto__: { polluted: true }\n', NODE_OPTIONS: '--disable-proto=throw' }
  const { child, ended } = start(['check', ...files], { cwd, env })
  const deadline = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
  const { code, stdout, stderr } = await ended
  clearTimeout(deadline)
  t.equal(code, 78, code === null ? 'ended by the deadline' : '')
  const lines = (stdout + stderr).split('\n')
  for (const [name, { said }] of Object.entries(poisons)) {
    const about = lines.filter(line => line.startsWith(`${name}.yaml:`))
    if (said === 'ok') {
      t.ok(
        about.length === 0 && lines.some(line => line.startsWith(`ok  ${name}.yaml: `)),
        `${name} is harmless: ${shown(about.join('; '))}`,
      )
      continue
    }
    const [line, column, part] = said
    const found = about.some(one => {
      const [, atLine, atColumn] = /^[^:]+:(\d+):(\d+): /.exec(one) ?? []
      return (!line || Number(atLine) === line) && (!column || Number(atColumn) === column) && one.includes(part)
    })
    t.ok(found, `${name}: ${line}:${column} ${part}${found ? '' : `; said was ${shown(about.join('; '))}`}`)
  }
  t.ok(
    lines.every(line => line.length < 2_000),
    'no line is long, whatever stands in the file',
  )
}

t.test('row 80: hostile YAML is an error at its place, or harmless', async t => check(t, POISONS))

t.test('row 80: nothing in a file of up to 1 MiB takes long', async t => check(t, SLOW))

t.test('row 80: values are what they look like, and what comes from the environment is never YAML', async t => {
  const cwd = t.testdir({})
  const fields =
    'country: NO, off: off, y: y, version: "1.10", oct: 010, o: 0o10, hex: 0x1F, time: 12:30:45, date: 2026-01-01, t: True, n: Null, m: -0, ' +
    `env: "${EVIL}", half: "a${EVIL}b", escaped: "$${EVIL}", "key ${EVIL}": 1, number: "\${NUMBER}"`
  writeFileSync(
    join(cwd, 'p.yaml'),
    `inputs: [{ type: stdin }]\nfilters: [{ type: set, fields: { ${fields} } }]\noutputs: [{ type: stdout }]\nworkers: \${NUMBER}\n`,
  )
  const env = { EVIL: `x", workers: 64 }]\n__proto__: 1\n\u2028\${NUMBER}`, NUMBER: '0' }
  const { ended } = start(['run', 'p.yaml', '--log-level', 'error', '--no-progress'], { cwd, env, input: '{}\n' })
  const { code, stdout, stderr } = await ended
  t.equal(code, 0, shown(stderr))
  t.strictSame(JSON.parse(stdout), {
    country: 'NO',
    off: 'off',
    y: 'y',
    version: '1.10',
    oct: 10,
    o: 8,
    hex: 31,
    time: '12:30:45',
    date: '2026-01-01',
    t: true,
    n: null,
    m: 0,
    env: env.EVIL,
    half: `a${env.EVIL}b`,
    escaped: EVIL,
    [`key ${EVIL}`]: 1,
    number: '0',
  })
})

t.test('row 80: a number that loses digits, or that JSON has no word for, is a warning at its place', async t => {
  const cwd = t.testdir({})
  const numbers = ['9007199254740993', '-9007199254740993', '1e400', '.inf', '-.inf', '.nan', '0xFFFFFFFFFFFFFFFFF']
  const fields = numbers
    .map((number, n) => `n${n}: ${number}`)
    .concat('fine: 9007199254740991', 'text: "9007199254740993"', 'e: 1e20')
  writeFileSync(
    join(cwd, 'p.yaml'),
    `inputs: [{ type: stdin }]\noutputs: [{ type: discard }]\nfilters:\n  - type: set\n    fields:\n${fields.map(field => `      ${field}\n`).join('')}`,
  )
  const { code, stdout, stderr } = await start(['check', 'p.yaml'], { cwd }).ended
  t.equal(code, 0, shown(stderr))
  const warned = [...stdout.matchAll(/warning: p\.yaml:(\d+):(\d+): this number .*put it in quotes/g)].map(([, line]) =>
    Number(line),
  )
  t.same(
    warned,
    numbers.map((_, n) => 6 + n),
    shown(stdout),
  )
})
