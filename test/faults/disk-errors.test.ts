// A disk that reports errors (EIO) under the running program: the device's own, and those of calls.
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { acknowledged, engine, feed, imbalances, lineCount, numbers, onlyFull, pipeline, until, wrong } from '../kit/limits.ts'
import { failingDisk, whyNoFailingDisk } from '../kit/mounts.ts'

t.setTimeout(140_000)
t.jobs = 8

const steps = (out: string) => ({
  inputs: [{ type: 'file', paths: ['in.ndjson'], follow: true, poll_interval_ms: 20 }],
  outputs: [{ type: 'file', id: 'out', path: out, batch: { max_ms: 5 }, retry: { min_ms: 10, max_ms: 200 } }],
  http: { port: 0 },
})

const skip = whyNoFailingDisk()
t.test(
  'row 16: the device fails under the output, then under the state: no fsync is believed that failed before',
  { skip },
  async t => {
    const [outDisk, stateDisk] = [failingDisk(t, 32), failingDisk(t, 24)]
    const [out, state] = [join(outDisk.path, 'o.ndjson'), join(stateDisk.path, 'state')]
    const cwd = t.testdir({ 'in.ndjson': '' })
    const input = join(cwd, 'in.ndjson')
    pipeline(cwd, steps(out))
    const running = engine(t, cwd, { args: ['run', 'p.yaml', '--state-dir', state] })
    feed(input, 0, 100, 100)
    const saved = () => acknowledged(state) === statSync(input).size
    await until('the first are acknowledged', () => lineCount(out) === 100 && saved())

    outDisk.fail(true)
    feed(input, 100, 300, 100)
    await until('the output told of it', () => running.told(/does not take events/) > 0)
    t.match(
      running.log().find(({ step }) => step === 'out')?.['error'],
      /^file: EIO syncing .*o\.ndjson: the device reports an error/,
    )
    t.match(await running.ask('/ready'), { status: 503, body: /EIO/ })
    t.notOk(saved(), 'what was not synced is not acknowledged')
    outDisk.fail(false)
    await until('all are acknowledged', saved)

    stateDisk.fail(true)
    feed(input, 300, 400, 100)
    await until('the state told of it', () => running.told(/positions cannot be saved/) > 0)
    t.match(
      running.log().find(({ level }) => level === 'error')?.['error'],
      /cannot save positions in .*: the disk reported an error \(SQLITE_IOERR_FSYNC\)/,
    )
    t.match(await running.ask('/ready'), { status: 503, body: /"why":"state: / })
    feed(input, 400, 500, 100)
    await until('events flow on', () => lineCount(out) === 500)
    stateDisk.fail(false)
    await until('all are acknowledged', saved)
    feed(input, 500, 501)
    await until('a fresh event gets through', () => lineCount(out) === 501 && saved())
    t.equal((await running.ask('/ready')).status, 200)
    t.same(await imbalances(running), [])
    t.equal((await running.stop()).code, 0)
    for (const one of ['does not take events', 'takes events again', 'positions cannot be saved', 'positions are saved again'])
      t.equal(running.told(new RegExp(one)), 1, `one line: ${one}`)

    // From the devices themselves: what memory held of writes that failed is gone now.
    for (const disk of [outDisk, stateDisk]) disk.again()
    t.same(wrong(numbers(out), 501, true), [])
    t.equal(acknowledged(state), statSync(input).size)
  },
)

// Where the device above could be had, this says the same once more.
const variant = skip ? false : onlyFull
t.test(
  'row 16: a single fsync of the output fails: the batch is written again, and is there once',
  { skip: variant },
  async t => {
    const cwd = t.testdir({ 'in.ndjson': '' })
    const [input, out] = [join(cwd, 'in.ndjson'), join(cwd, 'o.ndjson')]
    // Node's own call fails once with what a device would say, after the bytes were written.
    writeFileSync(
      join(cwd, 'preload.mjs'),
      `import { existsSync, rmSync } from 'node:fs'
    import { open } from 'node:fs/promises'
    const handle = await open(import.meta.filename)
    const prototype = Object.getPrototypeOf(handle)
    await handle.close()
    const { datasync } = prototype
    prototype.datasync = async function () {
      if (existsSync('${join(cwd, 'fail')}')) {
        rmSync('${join(cwd, 'fail')}')
        throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO', errno: -5, syscall: 'fdatasync' })
      }
      return datasync.call(this)
    }`,
    )
    pipeline(cwd, steps('o.ndjson'))
    const running = engine(t, cwd, { preloads: [join(cwd, 'preload.mjs')] })
    for (let round = 0; round < 4; round++) {
      writeFileSync(join(cwd, 'fail'), '')
      feed(input, round * 10, round * 10 + 10)
      await until('it takes events again', () => running.told(/takes events again/) === round + 1)
    }
    feed(input, 40, 41)
    await until('a fresh event gets through', () => lineCount(out) === 41)
    t.equal(running.told(/does not take events/), 4)
    for (const { error } of running.log()) if (error !== undefined) t.match(error, /^file: EIO syncing/)
    t.same(await imbalances(running), [])
    t.equal((await running.stop()).code, 0)
    t.same(wrong(numbers(out), 41, true), [])
  },
)
