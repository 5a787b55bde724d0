// The file output beside other programs and across rotations: their lines are never cut, and what is set aside is durable first.
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { FileSettings } from '../../plugins/outputs/file/descriptors.ts'
import { FileSet } from '../../plugins/outputs/file/file-set.ts'
import { type Faults, fakeContext, faultyDisk, itemsOf, tree } from './file-output-support.ts'

function filesIn(base: string, other: Partial<FileSettings> = {}) {
  const calls: string[] = []
  const context = fakeContext()
  const faults: { now: Faults } = { now: () => undefined }
  const settings: FileSettings = {
    base,
    chosen: false,
    compression: 'none',
    rotateBytes: undefined,
    rotateMs: undefined,
    fsync: true,
    mode: 0o640,
    maxOpen: 64,
    ...other,
  }
  const files = new FileSet(
    settings,
    context,
    faultyDisk((call, path) => faults.now(call, path), calls),
  )
  const write = (name: string, ...lines: string[]) =>
    files.write([
      {
        path: join(base, name),
        items: itemsOf(lines),
        refuse(error) {
          throw error
        },
      },
    ])
  return { files, calls, context, faults, write }
}

t.test('what another program appends to a write that could not be taken back is not cut with it', async t => {
  const dir = t.testdir()
  const { files, faults, write } = filesIn(dir)
  await write('a', '1')
  faults.now = call => (['truncate', 'datasync'].includes(call) ? { code: 'EIO' } : undefined)
  await t.rejects(write('a', '2'), { code: 'EIO' })
  await fs.appendFile(join(dir, 'a'), 'theirs\n')
  faults.now = () => undefined
  await write('a', '2')
  const text = await fs.readFile(join(dir, 'a'), 'utf8')
  t.ok(text.includes('theirs\n'), text)
  t.ok(text.endsWith('2\n'))
  await files.close()
})

t.test('a file that fills up within a batch is synced before it is set aside', async t => {
  const dir = t.testdir()
  const { files, calls, write } = filesIn(dir, { rotateBytes: 4 })
  await write('a', '1', '2', '3', '4', '5')
  t.equal(Object.values(await tree(dir)).length, 3)
  const own = calls.filter(call => call.endsWith('/a')).map(call => call.split(' ')[0])
  let unsynced = false
  let renames = 0
  for (const call of own) {
    if (call === 'write') unsynced = true
    if (call === 'datasync') unsynced = false
    if (call !== 'rename') continue
    renames++
    t.notOk(unsynced, 'nothing is set aside unsynced')
  }
  t.equal(renames, 2)
  t.notOk(unsynced)
  await files.close()
})

t.test('a file that is set aside when its time is over has its new name durably', async t => {
  const dir = t.testdir()
  const { files, calls, context, write } = filesIn(dir, { rotateMs: 60_000 })
  await files.start(join(dir, 'a'))
  await write('a', '1')
  calls.length = 0
  context.pass(60_000)
  await files.close()
  t.equal(Object.keys(await tree(dir)).length, 1)
  t.notOk('a' in (await tree(dir)), 'it was set aside')
  const seen = calls.map(call => call.split(' ')[0])
  t.ok(seen.includes('rename') && seen.lastIndexOf('sync') > seen.indexOf('rename'), seen.join(' '))
})
