// The real program is stopped, and killed, while the last line of a file is being written: it comes once, and whole.
import { appendFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { deadLetters, engine, pipeline, until } from '../kit/limits.ts'
import { Delivered, FILE, offsets, Source } from './file-rotation-support.ts'

t.jobs = 2

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`row 70: a line that is unfinished at a ${signal}, and completed since, comes once and whole`, async t => {
    const cwd = t.testdir({})
    pipeline(cwd, {
      inputs: [FILE],
      outputs: [{ type: 'file', id: 'out', path: 'out.ndjson', batch: { max_ms: 5 } }],
    })
    const delivered = new Delivered(cwd)
    const names = ['grows', 'rotates', 'still']
    const [grows, rotates, still] = names.map(name => new Source(cwd, name, delivered)) as [Source, Source, Source]
    const halves = [grows, rotates, still].map(source => {
      source.append(3)
      const line = source.lines(1)
      const cut = line.indexOf('東') + 1
      // In the middle of a character.
      appendFileSync(source.path, Buffer.from(line).subarray(0, cut))
      return Buffer.from(line).subarray(cut)
    })
    const first = engine(t, cwd)
    for (const source of [grows, rotates, still]) await until(`${source.name}: whole lines come`, () => source.got().length === 3)
    await until('positions stand behind them', () => offsets(cwd).length === 3)
    const ended = await first.stop(signal)
    t.equal(ended.signal ?? ended.code, signal === 'SIGTERM' ? 0 : signal)
    t.equal([grows, rotates, still].flatMap(source => source.got()).length, 9, 'no half line was delivered')

    appendFileSync(grows.path, halves[0] as Buffer)
    grows.append(2)
    appendFileSync(rotates.path, halves[1] as Buffer)
    renameSync(rotates.path, `${rotates.path}.1`)
    rotates.append(2)
    const second = engine(t, cwd)
    await grows.all()
    await rotates.all()
    // This one is completed before the eyes of the program.
    t.equal(still.got().length, 3)
    appendFileSync(still.path, halves[2] as Buffer)
    await still.all()
    t.equal((await second.stop()).code, 0)
    for (const source of [grows, rotates, still]) {
      const got = source.got()
      t.same([...new Set(got)].sort(), source.written.slice().sort(), source.name)
      // What was delivered and not yet acknowledged when it was killed may come again; it was waited for that here.
      t.equal(got.length, source.written.length, `${source.name}: once`)
    }
    t.same(deadLetters(join(cwd, 'state')), [], 'no line was torn')
  })
}
