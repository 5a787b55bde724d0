// Links cannot lead the file output out of its folder, not even when they come between the check and the opening.
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Disk, disk } from '../../plugins/outputs/file/disk.ts'
import { FileSet } from '../../plugins/outputs/file/file-set.ts'
import file from '../../plugins/outputs/file/index.ts'
import { create, deliver, fakeContext, itemsOf, tree } from './file-output-support.ts'

t.test('row 66: links below the folder are followed inside of it only', async t => {
  const dir = t.testdir({
    outside: { victim: 'secret\n', sub: {} },
    out: {
      real: {},
      inside: t.fixture('symlink', 'real'),
      up: t.fixture('symlink', '../outside'),
      parent: t.fixture('symlink', '..'),
      dangling: t.fixture('symlink', '../outside/none'),
      loop: t.fixture('symlink', 'loop'),
      folder: { f: {} },
      text: 'a file\n',
      links: { f: t.fixture('symlink', '../../outside/victim'), g: t.fixture('symlink', '../../outside/made') },
    },
  })
  const before = await tree(join(dir, 'outside'))
  const output = create(file, { path: 'out/%{folder}/%{name}' }, dir)
  await output.open?.(fakeContext())
  const cases: [folder: string, name: string, refused: RegExp | undefined][] = [
    ['real', 'f', undefined],
    ['inside', 'g', undefined],
    ['new', 'f', undefined],
    ['up', 'f', /path leaves .*out: .*up is a link to .*outside/],
    ['up', 'victim', /is a link to/],
    ['parent', 'f', /is a link to/],
    ['dangling', 'f', /path leaves .*is a link that leads nowhere/],
    ['loop', 'f', /path leaves .*a symbolic link stands where/],
    ['folder', 'f', /path leaves .*it is a folder/],
    ['text', 'f', /path leaves .*a file stands where a folder should be/],
    ['links', 'f', /path leaves .*a symbolic link stands where the file should be/],
    ['links', 'g', /a symbolic link/],
  ]
  for (const [folder, name, refused] of cases) {
    const rejected = await deliver(output, [{ folder, name }])
    if (refused) t.match(rejected.get(0), refused, `${folder}/${name}`)
    else t.equal(rejected.size, 0, `${folder}/${name}`)
  }
  const all = await deliver(
    output,
    cases.map(([folder, name]) => ({ folder, name })),
  )
  t.strictSame(
    [...all.keys()].sort((a, b) => a - b),
    [3, 4, 5, 6, 7, 8, 9, 10, 11],
    'in one batch the others arrive',
  )
  await output.close?.()
  t.same(await tree(join(dir, 'outside')), before)
  t.same(await tree(join(dir, 'out')), {
    'real/f': '{"folder":"real","name":"f"}\n'.repeat(2),
    'real/g': '{"folder":"inside","name":"g"}\n'.repeat(2),
    'new/f': '{"folder":"new","name":"f"}\n'.repeat(2),
    text: 'a file\n',
  })
})

t.test("the folder itself may be the operator's link", async t => {
  const dir = t.testdir({ disk2: {}, out: t.fixture('symlink', 'disk2') })
  const output = create(file, { path: 'out/%{k}/f' }, dir)
  await output.open?.(fakeContext())
  t.equal((await deliver(output, [{ k: 'a' }])).size, 0)
  await output.close?.()
  t.strictSame(Object.keys(await tree(join(dir, 'disk2'))), ['a/f'])
})

t.test('row 66: a folder that becomes a link between two steps of the opening gets nothing', async t => {
  const steps = ['mkdir', 'realpath', 'open', 'create', 'lstat']
  let swaps = 0
  for (const at of steps) {
    for (let nth = 1; nth <= 4; nth++) {
      const dir = t.testdir({ outside: { f: 'victim\n' }, out: { k: {} } })
      const out = join(dir, 'out')
      let left = nth
      const swap = async (call: string) => {
        if (call !== at || --left !== 0) return
        swaps++
        await fs.rename(join(out, 'k'), join(out, 'moved')).catch(() => undefined)
        await fs.symlink('../outside', join(out, 'k')).catch(() => undefined)
      }
      const racing: Disk = {
        ...disk,
        async mkdir(...given) {
          await swap('mkdir')
          return disk.mkdir(...given)
        },
        async realpath(path) {
          const real = await disk.realpath(path)
          await swap('realpath')
          return real
        },
        async open(path, flags, mode) {
          await swap('open')
          const handle = await disk.open(path, flags, mode)
          await swap('create')
          return handle
        },
        async lstat(path) {
          await swap('lstat')
          return disk.lstat(path)
        },
      }
      const files = new FileSet(settings(out), fakeContext(), racing)
      let outcome = 'delivered'
      const group = groupOf(join(out, 'k/f'), error => {
        outcome = error.message
      })
      await files.write([group]).catch((error: Error) => {
        outcome = error.message
      })
      await files.close()
      t.equal(await fs.readFile(join(dir, 'outside/f'), 'utf8'), 'victim\n', `${at} ${nth}: ${outcome}`)
      if (outcome === 'delivered') t.match(Object.values(await tree(out)).join(), 'event', `${at} ${nth}: inside`)
    }
  }
  t.ok(swaps > 10, `${swaps} swaps`)
})

/** A disk on which `out/k` is a link to `outside` during some calls, and what it should be at all other times. */
function flickering(out: string, isLinkedFor: (call: 'open' | 'lstat', path: string) => boolean): Disk {
  const linked = async <T>(fn: () => Promise<T>): Promise<T> => {
    await fs.rename(join(out, 'k'), join(out, 'moved'))
    await fs.symlink('../outside', join(out, 'k'))
    try {
      return await fn()
    } finally {
      await fs.unlink(join(out, 'k'))
      await fs.rename(join(out, 'moved'), join(out, 'k'))
    }
  }
  const call = <T>(name: 'open' | 'lstat', path: string, fn: () => Promise<T>) => (isLinkedFor(name, path) ? linked(fn) : fn())
  return {
    ...disk,
    open: (path, flags, mode) => call('open', path, () => disk.open(path, flags, mode)),
    lstat: path => call('lstat', path, () => disk.lstat(path)),
  }
}

t.test('row 66: a folder that is a link only while the file is opened gets nothing either', async t => {
  for (const name of ['f', 'new']) {
    const dir = t.testdir({ outside: { f: 'victim\n' }, out: { k: { f: 'mine\n' } } })
    const out = join(dir, 'out')
    const racing = flickering(out, (call, path) => call === 'open' && path.endsWith(name))
    const files = new FileSet(settings(out), fakeContext(), racing)
    await t.rejects(files.write([groupOf(join(out, 'k', name), () => undefined)]), { name: 'RetryableError' })
    await files.close()
    const left = await tree(join(dir, 'outside'))
    t.same(left, name === 'f' ? { f: 'victim\n' } : { f: 'victim\n', new: '' }, 'no byte of an event lies outside')
  }
})

const noPlace = process.platform === 'linux' ? false : 'needs Linux: elsewhere nobody says where an open file lies'
t.test('row 66: nor when it is a link again each time somebody looks', { skip: noPlace }, async t => {
  for (const name of ['f', 'new']) {
    const dir = t.testdir({ outside: { f: 'victim\n' }, out: { k: { f: 'mine\n' } } })
    const out = join(dir, 'out')
    const refused: string[] = []
    const files = new FileSet(
      settings(out),
      fakeContext(),
      flickering(out, (_call, path) => path.endsWith(name)),
    )
    await files.write([groupOf(join(out, 'k', name), error => refused.push(error.message))])
    await files.close()
    t.match(refused.join(), /path leaves .*became a link/)
    const left = await tree(join(dir, 'outside'))
    t.same(left, name === 'f' ? { f: 'victim\n' } : { f: 'victim\n', new: '' }, 'no byte of an event lies outside')
  }
})

function settings(base: string) {
  return {
    base,
    chosen: true,
    compression: 'none',
    rotateBytes: undefined,
    rotateMs: undefined,
    fsync: true,
    mode: 0o640,
    maxOpen: 9,
  } as const
}

function groupOf(path: string, refuse: (error: Error) => void) {
  return { path, items: itemsOf(['event']), refuse }
}
