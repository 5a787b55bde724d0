// State files that were damaged, lost, or written by another version, under the real program: refused with the ways out, or mended.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { LETTERS_FORMAT, STATE_FORMAT } from '../../core/state/formats.ts'
import {
  acknowledged,
  command,
  deadLetters,
  engine,
  events,
  feed,
  lineCount,
  numbers,
  pipeline,
  until,
  wrong,
} from '../kit/limits.ts'
import type { Ran } from '../kit/process.ts'
import { full, randomOf, rounds, seed } from '../kit/rounds.ts'

t.setTimeout(140_000)
t.jobs = 8

const PAGE = 4096
const EVENTS = 300
const LETTERS = 60

/** A torn record, long enough that each lies on a page of its own. */
const torn = (n: number) => `{"torn":${n},"pad":"${`letter ${n} `.repeat(400)}`

interface Used {
  readonly cwd: string
  readonly state: string
  readonly out: string
  run(): Promise<Ran>
}

/** Where a pipeline has run once, with dead letters. Each test gets a copy of what it left, and reads the same input. */
const original = t.testdir({})
const input = events(0, EVENTS).split('\n').filter(Boolean)
for (let n = 0; n < LETTERS; n++) input.splice(n * 2, 0, torn(n))
writeFileSync(join(original, 'in.ndjson'), `${input.join('\n')}\n`)
const step = { type: 'file', paths: [join(original, 'in.ndjson'), 'other*.ndjson'] }
const steps = { inputs: [step], outputs: [{ type: 'file', id: 'out', path: 'out/o.ndjson' }] }
pipeline(original, steps)
const first = await command(t, original, 'run', 'p.yaml')
t.equal(first.code, 0, first.stderr)
t.equal(deadLetters(join(original, 'state')).length, LETTERS)

function used(t: Test): Used {
  const cwd = t.testdir({})
  const state = join(cwd, 'state')
  cpSync(join(original, 'state'), state, { recursive: true })
  cpSync(join(original, 'out'), join(cwd, 'out'), { recursive: true })
  pipeline(cwd, steps)
  return { cwd, state, out: join(cwd, 'out/o.ndjson'), run: () => command(t, cwd, 'run', 'p.yaml') }
}

/** Nothing may have been touched by a start that was refused. */
async function refused(t: Test, { state, out, run }: Used, ...what: readonly RegExp[]): Promise<void> {
  const before = readdirSync(state).map(name => [name, readFileSync(join(state, name))] as const)
  const { code, stderr } = await run()
  t.equal(code, 78, stderr)
  for (const text of what) t.match(stderr, text)
  t.equal(lineCount(out), EVENTS, 'nothing ran')
  for (const [name, bytes] of before) {
    if (name.endsWith('.db')) t.ok(bytes.equals(readFileSync(join(state, name))), `${name} is as it was`)
  }
}

/** What a person does next: the event that comes after it must get through, and nothing may be missing. */
async function goesOn(t: Test, { cwd, out, run }: Used): Promise<Ran> {
  feed(join(cwd, 'other.ndjson'), EVENTS, EVENTS + 1)
  const ran = await run()
  t.equal(ran.code, 0, ran.stderr)
  t.same(wrong(numbers(out), EVENTS + 1), [], 'nothing is lost, and a fresh event got through')
  return ran
}

/** How many frames of a write-ahead log belong to it: what lies behind them is left of what it was before (SQLite's file format, 4.1). */
function framesOf(log: string): number {
  const bytes = readFileSync(log)
  const salts = bytes.subarray(16, 24)
  let count = 0
  for (let at = 32; at + 24 + PAGE <= bytes.length && bytes.subarray(at + 8, at + 16).equals(salts); at += 24 + PAGE) count++
  return count
}

/** Overwrites bytes of a file in place. */
function overwrite(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
}

const WAYS_OUT = /restore it from a backup, or let `penstock state reset` set aside it/

t.test('rows 8, 10: positions that are damaged: refused with both ways out, and set aside by a reset', async t => {
  const one = used(t)
  const { cwd, state, out } = one
  overwrite(join(state, 'state.db'), bytes => bytes.fill(0xa5, PAGE, 2 * PAGE))
  await refused(t, one, /state\.db is damaged/, WAYS_OUT)
  const reset = await command(t, cwd, 'state', 'reset', 'p')
  t.equal(reset.code, 0, reset.stderr)
  t.match(reset.stderr, /what was left of .*state\.db is set aside as .*state\.db\.damaged-/)
  t.ok(readdirSync(state).some(name => name.startsWith('state.db.damaged-')))
  t.equal(deadLetters(state).length, LETTERS, 'the dead letters are not touched')
  await goesOn(t, one)
  t.equal(lineCount(out), 2 * EVENTS + 1, 'every input was read from its beginning')
})

t.test('row 9: positions that are lost, empty or no SQLite file: never begun anew in silence', async t => {
  const one = used(t)
  const path = join(one.state, 'state.db')
  const whole = readFileSync(path)
  rmSync(path)
  await refused(t, one, /state\.db is missing or empty although other files of it are there/, WAYS_OUT)
  if (full) {
    writeFileSync(path, '')
    await refused(t, one, /state\.db is missing or empty although other files of it are there/)
  }
  if (full) {
    writeFileSync(path, Buffer.alloc(whole.length))
    await refused(t, one, /state\.db is damaged, or no SQLite file at all/)
  }
  writeFileSync(path, whole)
  const { stderr } = await goesOn(t, one)
  t.match(stderr, /read +1\n/, 'restored from a backup, it goes on where it was')
})

t.test('row 9: dead letters that are lost are told of, and everything else goes on', async t => {
  const one = used(t)
  rmSync(join(one.state, 'letters.db'))
  const { stderr } = await goesOn(t, one)
  t.match(stderr, /letters\.db is missing; an empty one is begun, what lay in it is gone/)
  t.match(stderr, /read +1\n/)
})

t.test('rows 8, 9: dead letters that are damaged: refused with both ways out, and what can be read is salvaged', async t => {
  const one = used(t)
  const { cwd, state } = one
  const before = deadLetters(state)
  overwrite(join(state, 'letters.db'), bytes => {
    const page = PAGE * Math.floor(bytes.length / PAGE / 2)
    bytes.fill(0xa5, page, page + 4 * PAGE)
  })
  await refused(
    t,
    one,
    /letters\.db is damaged/,
    /let `penstock state reset` set aside it, keep the dead letters that can still be read/,
  )
  const reset = await command(t, cwd, 'state', 'reset', 'p')
  t.equal(reset.code, 0, reset.stderr)
  const kept = deadLetters(state)
  t.match(reset.stderr, `${kept.length} dead letters were taken over`)
  t.ok(kept.length >= LETTERS - 8 && kept.length < LETTERS, `${kept.length} of ${LETTERS} were not on the damaged pages`)
  for (const letter of kept) t.ok(before.includes(letter), 'and are as they were')
  await goesOn(t, one)
  const all = new Set(deadLetters(state))
  t.equal(all.size, LETTERS, 'the inputs were read again, and the others are dead letters again')
})

t.test(
  'row 8: a byte of a dead letter that changed on the disk: shown as damaged, never replayed, and nothing else is',
  async t => {
    const one = used(t)
    const { cwd, state, out } = one
    overwrite(join(state, 'letters.db'), bytes => {
      const at = bytes.indexOf('letter 7 letter 7 ')
      t.ok(at > 0)
      bytes.write('L', at)
    })
    const { stdout, code } = await command(t, cwd, 'dlq', 'list', '--json', '--limit', '100')
    t.equal(code, 0)
    const letters = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as { id: number; damaged?: true; bytes: string })
    t.equal(letters.length, LETTERS)
    const damaged = letters.filter(letter => letter.damaged)
    t.equal(damaged.length, 1)
    t.match(Buffer.from(damaged[0]?.bytes ?? '', 'base64').toString(), /^\{"torn":7,"pad":"L/)
    const id = String(damaged[0]?.id)
    t.match((await command(t, cwd, 'dlq', 'show', id)).stdout, /damaged/, 'and people see it')
    t.match((await command(t, cwd, 'dlq', 'list')).stdout, new RegExp(`#${id} .*damaged`), 'also in the list')

    // The cause is mended: with the codec `lines` every letter can be read.
    writeFileSync(join(cwd, 'p.yaml'), readFileSync(join(cwd, 'p.yaml'), 'utf8').replace('"paths"', '"codec":"lines","paths"'))
    t.match((await command(t, cwd, 'dlq', 'replay', '--all')).stdout, /marked/)
    const ran = await one.run()
    t.equal(ran.code, 0, ran.stderr)
    t.match(ran.stderr, new RegExp(`${LETTERS - 1} of them dead letters, replayed`))
    const replayed = readFileSync(out, 'utf8').match(/"message":"\{\\"torn\\":\d+/g) ?? []
    t.equal(new Set(replayed).size, LETTERS - 1)
    t.notOk(replayed.some(text => text.endsWith(':7')))
    t.same(deadLetters(state).length, 1, 'the damaged one stays')
  },
)

t.test(
  'row 8: bytes of the log that a killed engine left are damaged: what follows them is read again, nothing is lost',
  async t => {
    const cwd = t.testdir({ 'in.ndjson': '' })
    pipeline(cwd, {
      commit_interval_ms: 1,
      inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
      outputs: [{ type: 'file', id: 'out', path: 'o.ndjson', batch: { max_ms: 1 } }],
    })
    const [input, out, log] = [join(cwd, 'in.ndjson'), join(cwd, 'o.ndjson'), join(cwd, 'state/state.db-wal')]
    const first = engine(t, cwd)
    let fed = 0
    // The log is begun anew once, when it is made large enough for a full disk: what is damaged must come after that.
    while (fed < 20 || framesOf(log) < 20) {
      feed(input, fed, ++fed)
      await until('it is delivered', () => lineCount(out) === fed)
      await until('it is acknowledged', () => acknowledged(join(cwd, 'state')) === statSync(input).size)
    }
    await first.stop('SIGKILL')
    // The first frames stay, the tenth and what comes after it are not theirs any more.
    overwrite(log, bytes => {
      bytes[32 + 9 * (24 + PAGE) + 100]! ^= 1
    })
    const second = engine(t, cwd)
    feed(input, fed, fed + 1)
    await until('a fresh event gets through', () => numbers(out).includes(fed))
    t.equal((await second.stop()).code, 0)
    t.ok(lineCount(out) > fed + 1, 'the position fell back')
    t.same(wrong(numbers(out), fed + 1), [])
  },
)

t.test('row 20: state of a newer program: refused with both versions, and left as it is', async t => {
  const one = used(t)
  for (const name of full ? ['state.db', 'letters.db'] : ['state.db']) {
    const path = join(one.state, name)
    const whole = readFileSync(path)
    const db = new DatabaseSync(path)
    db.exec('PRAGMA user_version = 99')
    db.close()
    await refused(t, one, new RegExp(`${name.replace('.', '\\.')} has state format 99, this program reads 1 to 1:`))
    const reset = await command(t, one.cwd, 'state', 'reset', 'p')
    t.match([reset.code, reset.stderr], [78, /99/], 'not even a reset touches it')
    writeFileSync(path, whole)
  }
  if (full) await goesOn(t, one)
})

t.test('rows 9, 20: state of every released format is read: positions go on, dead letters are there', async t => {
  const fixtures = join(import.meta.dirname, '../fixtures/state')
  const formats = readdirSync(fixtures).filter(name => name.startsWith('format-'))
  t.equal(formats.length, Math.max(STATE_FORMAT.migrations.length, LETTERS_FORMAT.migrations.length), 'there is one of each')
  for (const format of formats) {
    const cwd = t.testdir()
    const state = join(cwd, 'state')
    mkdirSync(state)
    for (const name of ['state', 'letters']) {
      const db = new DatabaseSync(join(state, `${name}.db`))
      db.exec(readFileSync(join(fixtures, format, `${name}.sql`), 'utf8'))
      db.close()
    }
    t.same(deadLetters(state), ['{"torn'])
    pipeline(cwd, { inputs: [{ type: 'generate', count: 100 }], outputs: [{ type: 'file', id: 'out', path: 'o.ndjson' }] })
    const { code, stderr } = await command(t, cwd, 'run', 'p.yaml')
    t.equal(code, 0, stderr)
    t.match(stderr, /read +40\n/, 'of a hundred records sixty had been made')
    t.same(deadLetters(state), ['{"torn'])
  }
})

t.test('rows 8, 10: a byte flipped anywhere: refused, or nothing is lost', async t => {
  const random = randomOf(8)
  t.comment(`seed ${seed}`)
  let refusals = 0
  for (let round = 0; round < rounds(10); round++) {
    const one = used(t)
    const { cwd, state, out } = one
    const name = round % 2 === 0 ? 'state.db' : 'letters.db'
    // Half of them where the structure of a page lies, not what it holds.
    const size = statSync(join(state, name)).size
    const at =
      round % 4 < 2 ? Math.floor(random() * size) : PAGE * Math.floor((random() * size) / PAGE) + Math.floor(random() * 16)
    overwrite(join(state, name), bytes => {
      bytes[at]! ^= 1 << Math.floor(random() * 8)
    })
    feed(join(cwd, 'other.ndjson'), EVENTS, EVENTS + 1)
    const { code, signal, stderr } = await one.run()
    if (code === 78) {
      refusals++
      t.match(stderr, /state: .*(damaged|missing|not a file of Penstock|state format)/, `${name} byte ${at}`)
      if (!/state format/.test(stderr)) {
        const reset = await command(t, cwd, 'state', 'reset', 'p')
        t.equal(reset.code, 0, `${name} byte ${at}: ${reset.stderr}`)
        t.equal((await one.run()).code, 0)
      }
    } else t.same([code, signal], [0, null], `${name} byte ${at}: ${stderr}`)
    t.same(wrong(numbers(out), EVENTS + 1), [], `${name} byte ${at}`)
  }
  t.comment(`${refusals} starts were refused`)
})
