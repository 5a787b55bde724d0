// Events choose the files they go to, below a folder and nowhere else: whatever they say, and whatever links somebody puts there
// meanwhile, the real program writes no byte outside of it, and loses none of them.
import { lstatSync, readdirSync, readFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { deadLetters, engine, feed, imbalances, pipeline, until, wrong } from '../kit/limits.ts'
import { penstock } from '../kit/process.ts'
import { fc, rounds } from '../kit/rounds.ts'

t.jobs = 2

function spin(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

/** Every file below a folder, links as `-> target`, empty folders as ''. */
function tree(folder: string, below = ''): Map<string, string> {
  const found = new Map<string, string>()
  for (const name of readdirSync(join(folder, below))) {
    const path = join(below, name)
    const entry = lstatSync(join(folder, path))
    if (entry.isSymbolicLink()) found.set(path, '-> elsewhere')
    else if (entry.isFile()) found.set(path, readFileSync(join(folder, path), 'utf8'))
    else for (const [inner, text] of tree(folder, path)) found.set(inner, text)
  }
  return found
}

/** What lies in the test's folder and is neither the output's nor the program's own. */
const outside = (cwd: string) => new Map([...tree(cwd)].filter(([path]) => !/^(?:a\/b\/out|state)\//.test(path)))

interface Choice {
  readonly place: unknown
  readonly name: unknown
}

interface Letter {
  readonly code: string
  readonly error: string
  readonly bytes: string
}

/** Runs events through the program; gives what lies in its folder, and its dead letters by the number of their event. */
async function run(t: Test, cwd: string, choices: readonly Choice[], options: object = {}) {
  pipeline(cwd, {
    inputs: [{ type: 'file', paths: ['in.ndjson'] }],
    outputs: [{ type: 'file', path: 'a/b/out/%{place}/%{name}.ndjson', ...options }],
  })
  writeFileSync(join(cwd, 'in.ndjson'), choices.map((choice, n) => `${JSON.stringify({ n, ...choice })}\n`).join(''))
  const before = outside(cwd)
  const { code, stderr } = await penstock(['run', 'p.yaml', '--no-progress'], { cwd })
  t.equal(code, 0, stderr)
  t.same(outside(cwd), before, 'nothing outside of its folder was made, changed or removed')
  const { stdout } = await penstock(['dlq', 'list', '--json', '--limit', '1000000'], { cwd })
  const letters = new Map<number, Letter>()
  for (const line of stdout.split('\n').slice(0, -1)) {
    const letter = JSON.parse(line) as Letter
    letters.set((JSON.parse(Buffer.from(letter.bytes, 'base64').toString()) as { n: number }).n, letter)
  }
  const delivered = new Map<number, string>()
  for (const [path, text] of tree(join(cwd, 'a/b/out'))) {
    if (!path.endsWith('.ndjson') || text.startsWith('->')) continue
    for (const line of text.split('\n').slice(0, -1)) delivered.set((JSON.parse(line) as { n: number }).n, path)
  }
  t.equal(letters.size + delivered.size, choices.length, 'each event is in a file or in the dead letters')
  return { letters, delivered }
}

t.test('row 66: a path from an event stays below its folder, or the event is a dead letter', async t => {
  const cwd = t.testdir({
    outside: { 'victim.ndjson': 'precious\n' },
    a: {
      'x.ndjson': 'precious\n',
      b: {
        out: {
          inside: {},
          link: t.fixture('symlink', '../../../outside'),
          up: t.fixture('symlink', '..'),
          within: t.fixture('symlink', 'inside'),
          dangling: t.fixture('symlink', '../../../outside/none'),
          loop: t.fixture('symlink', 'loop'),
          text: 'a file\n',
          files: {
            'victim.ndjson': t.fixture('symlink', '../../../../outside/victim.ndjson'),
            'made.ndjson': t.fixture('symlink', '../../../../outside/made.ndjson'),
          },
        },
      },
    },
  })
  const cases: [place: unknown, name: unknown, outcome: string | RegExp][] = [
    ['good', 'x', 'good/x.ndjson'],
    ['within', 'x', 'inside/x.ndjson'],
    ['Größe 東京', '%2e%2e%2f', 'Größe 東京/%2e%2e%2f.ndjson'],
    ['...', '~', '.../~.ndjson'],
    ['-rf', '..x', '-rf/..x.ndjson'],
    [' ', '.hidden', ' /.hidden.ndjson'],
    ['$HOME', '`id`', '$HOME/`id`.ndjson'],
    [7, true, '7/true.ndjson'],
    ['..', 'x', /leaves a\/b\/out\//],
    ['.', 'x', /leaves a\/b\/out\//],
    ['../..', 'x', /leaves a\/b\/out\//],
    ['../../a', 'x', /leaves a\/b\/out\//],
    ['good/../../..', 'x', /leaves a\/b\/out\//],
    ['good/deeper', 'x', /is not one name/],
    ['good', 'deeper/x', /is not one name/],
    ['good', '../../x', /leaves a\/b\/out\//],
    ['/tmp', 'x', /leaves a\/b\/out\//],
    ['good', '/etc/cron.d/x', /leaves a\/b\/out\//],
    ['a\0b', 'x', /must not be part of a name/],
    ['a\nb', 'x', /must not be part of a name/],
    ['good', 'x\r', /must not be part of a name/],
    ['\x1b[2J', 'x', /must not be part of a name/],
    ['C:', 'x', /must not be part of a name/],
    ['good', 'x:stream', /must not be part of a name/],
    ['..\\..', 'x', /must not be part of a name/],
    ['x'.repeat(300), 'x', /300 bytes, and 255 are allowed/],
    ['ü'.repeat(150), 'x', /300 bytes, and 255 are allowed/],
    ['good', 'x'.repeat(300), /307 bytes/],
    ['', 'x', /no field "place"/],
    [null, 'x', /no field "place"/],
    [['a', 'b'], 'x', /a list of 2 values/],
    [{ a: 1 }, 'x', /an object/],
    ['link', 'victim', /is a link to .*outside/],
    ['link', 'new', /is a link to .*outside/],
    ['up', 'x', /is a link to/],
    ['dangling', 'x', /a link that leads nowhere/],
    ['loop', 'x', /a symbolic link stands where/],
    ['text', 'x', /a file stands where a folder should be/],
    ['files', 'victim', /a symbolic link stands where the file should be/],
    ['files', 'made', /a symbolic link stands where the file should be/],
  ]
  // Whether two names that differ in case are one file is for the file system to say; neither leads out of the folder.
  const tricks = ['LINK', 'Link', 'UP', 'FILES', 'Within', 'GOOD', 'ﬁles', 'fıles', 'li\u200dnk']
  const choices = [...cases.map(([place, name]) => ({ place, name })), ...tricks.map(place => ({ place, name: 'VICTIM' }))]
  const { letters, delivered } = await run(t, cwd, choices)
  cases.forEach(([place, name, outcome], n) => {
    const what = `${JSON.stringify(place)?.slice(0, 40)} ${JSON.stringify(name)?.slice(0, 40)}`
    if (typeof outcome === 'string') t.equal(delivered.get(n), outcome, what)
    else t.match(letters.get(n), { code: 'PEN_PATH', error: outcome }, what)
  })
})

t.test('row 66: whatever events say of their paths, nothing leaves the folder, and plain names arrive', async t => {
  const parts = [
    '..',
    '.',
    '/',
    '\\',
    ':',
    '\0',
    '\n',
    '%',
    '{',
    '}',
    '~',
    '$',
    ' ',
    'a',
    'B',
    'ü',
    '\u202e',
    '\ud800',
    '-',
    "'",
    '\x7f',
  ]
  const nasty = fc
    .array(fc.constantFrom(...parts, 'x'.repeat(120), 'link'), { minLength: 1, maxLength: 5 })
    .map(all => all.join(''))
  const value = fc.oneof(nasty, fc.string({ unit: 'binary' }), fc.constantFrom('a', 'b c', 'D', 'e.f'))
  const choices = fc.sample(fc.record({ place: value, name: value }), rounds(4000))
  const cwd = t.testdir({ outside: {}, a: { b: { out: { link: t.fixture('symlink', '../../../outside') } } } })
  const { letters, delivered } = await run(t, cwd, choices, { fsync: false })
  t.ok(
    letters.size > choices.length / 10 && delivered.size > choices.length / 10,
    `${delivered.size} in files, ${letters.size} not`,
  )
  choices.forEach(({ place, name }, n) => {
    const path = delivered.get(n)
    // One name for the folder, one for the file.
    const mine = path === `${place}/${name}.ndjson` && path.split('/').length === 2
    if (path !== undefined && !mine) t.fail(`${JSON.stringify([place, name])} went to ${path}`)
    const letter = letters.get(n)
    if (letter && letter.code !== 'PEN_PATH') t.fail(`${JSON.stringify([place, name])}: ${letter.code} ${letter.error}`)
    const plain = [place, name].every(each => /^[\w%~$ ]{1,80}$/.test(each)) && place !== 'link'
    if (plain && path === undefined) t.fail(`${JSON.stringify([place, name])}: ${letter?.error}`)
  })
})

t.test('row 66: a folder that becomes a link and a folder again, all the while, leads nothing outside', async t => {
  const cwd = t.testdir({ 'in.ndjson': '', outside: { '0.ndjson': 'precious\n' }, out: { k: {} } })
  const path = (name: string) => join(cwd, name)
  pipeline(cwd, {
    inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 10 }],
    // One file at a time: each write opens its file anew.
    outputs: [
      {
        ...{ type: 'file', id: 'out', path: 'out/%{k}/%{file}.ndjson', max_open_files: 1 },
        ...{ batch: { max_ms: 5 }, retry: { min_ms: 1, max_ms: 5 } },
      },
    ],
    http: { port: 0 },
  })
  const running = engine(t, cwd)
  let fed = 0
  const write = () => {
    // Most go elsewhere: an output that refuses most of what it gets would pause.
    const text = ['k', 'other', 'other'].map(k => `${JSON.stringify({ n: fed, event: { id: `e${fed}` }, k, file: fed++ % 2 })}\n`)
    writeFileSync(path('in.ndjson'), text.join(''), { flag: 'a' })
  }
  let flips = 0
  let renames = 0
  /** Runs what fails where the program itself has made the folder anew just now. */
  const attempt = (fn: () => void): boolean => {
    try {
      fn()
      return true
    } catch {
      return false
    }
  }
  const flip = () => {
    // A new name each time: the folder cannot come back where the program has made a new one meanwhile.
    const away = path(`out/away${renames++}`)
    if (!attempt(() => renameSync(path('out/k'), away))) return
    if (attempt(() => symlinkSync('../outside', path('out/k')))) {
      flips++
      spin(0.1)
      unlinkSync(path('out/k'))
    }
    attempt(() => renameSync(away, path('out/k')))
    spin(0.2)
  }
  const delivered = () =>
    [...tree(path('out'))].flatMap(([, text]) =>
      text
        .split('\n')
        .slice(0, -1)
        .map(line => (JSON.parse(line) as { n: number }).n),
    )
  const refused = () => deadLetters(path('state')).map(text => (JSON.parse(text) as { n: number }).n)
  await until('it runs', () => running.log().some(line => line['port'] !== undefined))
  const met = () => refused().length + running.log().filter(({ step }) => step === 'out').length
  await until('the program has met a link, and has delivered', () => {
    write()
    for (let i = 0; i < 20; i++) flip()
    return flips > rounds(8000) && met() > 2 && delivered().length > 50
  })
  await until('every event is in a file or in the dead letters', () => wrong([...delivered(), ...refused()], fed).length === 0)
  feed(path('in.ndjson'), fed, fed + 1)
  await until('one without a place is refused, as ever', () => refused().includes(fed))
  t.comment(`${fed} events, ${flips} times a link, ${met()} times told`)
  const found = tree(path('outside'))
  t.equal(found.get('0.ndjson'), 'precious\n')
  t.same([...found.values()].join(''), 'precious\n', 'no byte of an event lies outside')
  t.same(await imbalances(running), [])
  t.equal((await running.stop()).code, 0)
})
