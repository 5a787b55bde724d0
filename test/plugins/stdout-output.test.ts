// Standard output: a slow, a full and a vanished reader, and what people see.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import t from 'tap'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'
import stdout, { prettyPrinter } from '../../plugins/outputs/stdout.ts'
import { create, event } from './file-output-support.ts'

const child = join(import.meta.dirname, 'stdout-output-child.ts')
const run = (script: string, cwd: string, options: string[] = []) =>
  spawnSync('env', ['-i', `PATH=${process.env['PATH']}`, ...options, 'sh', '-c', script, 'sh', process.execPath, child], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })

t.test('a slow reader gets every line, and the output waits for it', t => {
  const result = run('"$@" 60 | { sleep 0.3; wc -lc; }', t.testdir())
  t.match(result.stdout.trim().split(/\s+/), ['6000', String(6000 * 1010)])
  t.match(result.stderr, /^delivered 60$/m)
  t.end()
})

t.test('a reader that goes away gives an EPIPE to write, and no uncaught error', t => {
  const result = run('{ "$@" 5000; echo "exit $?" >&2; } | head -1', t.testdir())
  t.match(result.stdout, /^\{"n":0,.*\}\n$/)
  t.match(result.stderr, /^EPIPE stdout: nobody reads standard output any more$/m)
  t.match(result.stderr, /^exit 0$/m)
  t.end()
})

t.test('a full disk behind standard output holds it back, and no line is torn', t => {
  const dir = t.testdir({ disk: {} })
  const script =
    'mount -t tmpfs -o size=300k tmpfs disk || exit 9; head -c 150000 /dev/zero >disk/ballast; "$@" 2 ndjson disk/ballast >disk/out; cat disk/out'
  const result = run(script, dir, ['unshare', '-m'])
  if (result.status === 9 || result.status === 127 || result.stderr.startsWith('unshare')) {
    t.pass(`skipped, it needs root for a disk of its own: ${result.stderr.trim()}`)
    return t.end()
  }
  t.match(result.stderr, /degraded stdout: ENOSPC writing to standard output/)
  t.match(result.stderr, /^ok$/m)
  const numbers = result.stdout
    .trimEnd()
    .split('\n')
    .map(line => (JSON.parse(line) as { n: number }).n)
  t.strictSame(
    numbers,
    Array.from({ length: 200 }, (_, i) => i),
  )
  t.end()
})

t.test('a file behind standard output is appended to', t => {
  const dir = t.testdir({ out: 'before\n' })
  const result = run('"$@" 1 >>out', dir)
  t.equal(result.status, 0)
  const lines = readFileSync(join(dir, 'out'), 'utf8').split('\n')
  t.equal(lines.length, 102)
  t.equal(lines[0], 'before')
  t.end()
})

t.test('pretty shows a header and every field, and escapes what would drive a terminal', t => {
  const fields = {
    '@timestamp': '2026-05-01T10:15:30Z',
    event: { action: 'UserLoggedIn', outcome: 'success', category: ['authentication'], empty: {} },
    user: { name: 'ada\x1b[2J' },
    source: { ip: '192.0.2.7', port: 443 },
    text: 'a\tb\x9b\u202eevil\u2028 ü 😀',
    'key\n': null,
    list: [{ a: '\x07\x9b' }],
  }
  t.equal(
    prettyPrinter(false)(fields),
    [
      '2026-05-01T10:15:30Z  UserLoggedIn  success  ada\\u001b[2J  192.0.2.7',
      '  @timestamp: 2026-05-01T10:15:30Z',
      '  event.action: UserLoggedIn',
      '  event.outcome: success',
      '  event.category: ["authentication"]',
      '  event.empty: {}',
      '  user.name: ada\\u001b[2J',
      '  source.ip: 192.0.2.7',
      '  source.port: 443',
      '  text: a\\u0009b\\u009b\\u202eevil\\u2028 ü 😀',
      '  key\\u000a: null',
      '  list: [{"a":"\\u0007\\u009b"}]',
      '',
    ].join('\n'),
  )
  const coloured = prettyPrinter(true)(fields)
  t.match(coloured, '\x1b[36m2026-05-01T10:15:30Z\x1b[0m  \x1b[1mUserLoggedIn\x1b[0m')
  t.equal(coloured.replace(/\x1b\[\d*m/g, ''), prettyPrinter(false)(fields), 'colours are all that differs')
  t.equal(prettyPrinter(false)({}), '-\n')
  t.end()
})

t.test('colours are for terminals, and off with NO_COLOR', async t => {
  const tty = async (env: string) => {
    const running = spawn('script', ['-qec', `env ${env} ${process.execPath} ${child} 1 pretty`, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    running.on('error', () => undefined)
    let text = ''
    for await (const data of running.stdout) text += data
    return text
  }
  const coloured = await tty('-u NO_COLOR')
  if (coloured === '') return t.pass('skipped, it needs script(1)')
  t.match(coloured, '\x1b[2mn:\x1b[0m 0')
  t.notMatch(await tty('NO_COLOR=1'), '\x1b')
  t.notMatch(run('"$@" 1 pretty', t.testdir()).stdout, '\x1b')
  const writer = new ByteWriter()
  create(stdout, {}, '/').encode(event({ a: 1 }), writer)
  t.equal(writer.finish().subarray(0, writer.length).toString(), '{"a":1}\n')
})
