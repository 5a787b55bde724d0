// The file input where it cannot see clearly: nothing is forgotten then, and nothing counts as read that was not.
import { mkdirSync, renameSync, symlinkSync, truncateSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Codec } from '../../core/plugin/interfaces.ts'
import { joined, lines, numbered, readAll } from './file-input-support.ts'

t.test('where something cannot be read, files that are out of sight are not forgotten', async t => {
  const folder = t.testdir({ 'a.log': joined(numbered(5)), 'b.log': 'b\n' })
  const options = { paths: ['*.log', 'mount/*.log'], forget_after_ms: 60_000 }
  const run = await readAll(t, folder, options)
  t.equal(run.records.length, 6)
  // A mount that hangs in the air: nobody knows what lies behind it.
  symlinkSync('mount', join(folder, 'mount'))
  renameSync(join(folder, 'a.log'), join(folder, 'a.away'))
  const again = await readAll(t, folder, options, run)
  t.match(again.health, [['degraded', /mount/]], 'the trouble was seen')
  run.clock.skip(61_000)
  await readAll(t, folder, options, run)
  unlinkSync(join(folder, 'mount'))
  mkdirSync(join(folder, 'mount'))
  renameSync(join(folder, 'a.away'), join(folder, 'mount/a.log'))
  t.same((await readAll(t, folder, options, run)).records, [], 'and it is known again when it is back')
})

t.test('a file that is emptied before its first line is read does not count as read', async t => {
  const folder = t.testdir({ 'a.log': joined(numbered(50)) })
  const emptying: Codec = {
    ...lines,
    framer(...args) {
      truncateSync(join(folder, 'a.log'), 0)
      return lines.framer(...args)
    },
  }
  const run = await readAll(t, folder, { paths: '*' }, { codec: emptying })
  t.same(run.records, [])
  t.match(run.health, [['degraded', /a\.log: it was cut off while it was read/]])
})
