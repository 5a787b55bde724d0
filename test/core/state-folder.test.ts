// The state folder: whose it is, who may read it, and what is said when it cannot be used.
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { openStore } from '../../core/state/store.ts'
import { failure, hold, letter, mountedDisk, position, whyNoChattr, whyNoMount, whyNoOtherUser } from '../fixtures/state/parts.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65534
const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)
const modes = (folder: string) => Object.fromEntries(readdirSync(folder).map(name => [name, mode(join(folder, name))]))

t.test('folder and files are the owner’s alone, whatever the umask', async t => {
  const before = process.umask()
  t.teardown(() => process.umask(before))
  for (const umask of [0, 0o277]) {
    const folder = join(t.testdir(), 'deeper', 'state')
    process.umask(umask)
    // The parents are made with the folder, and nobody could enter them with such a umask.
    if (umask) mkdirSync(join(folder, '..'), { recursive: true })
    if (umask) chmodSync(join(folder, '..'), 0o700)
    const store = await openStore(folder)
    await store.commit(position('a', 1))
    await store.letters.add([letter()])
    t.equal(mode(folder), '700')
    const files = [
      'letters.db',
      'letters.db-shm',
      'letters.db-wal',
      'lock.db',
      'lock.pid',
      'state.db',
      'state.db-shm',
      'state.db-wal',
    ]
    t.same(modes(folder), Object.fromEntries(files.map(name => [name, '600'])), `umask ${umask.toString(8)}`)
    await store.close()
  }
})

t.test('files that were put back with other rights become the owner’s alone again', async t => {
  const folder = join(t.testdir(), 'state')
  await (await openStore(folder)).close()
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644)
  const store = await openStore(folder)
  await store.commit(position('a', 1))
  t.same([...new Set(Object.values(modes(folder)))], ['600'])
  await store.close()
})

t.test('row 19: a second process is refused with the pid of the first, until that ends or is killed', async t => {
  const folder = join(t.testdir(), 'state')
  const first = await hold(folder)
  t.equal(first.said.open, first.child.pid)
  const { code, message } = await failure(openStore(folder))
  t.equal(code, 'PEN_STATE_IN_USE')
  t.match(message, `state: ${folder} is in use by pid ${first.child.pid}:`)
  await first.end('SIGKILL')
  t.match(readFileSync(join(folder, 'lock.pid'), 'utf8'), `${first.child.pid} `, 'it was left behind')

  const second = await openStore(folder)
  t.match(await failure(openStore(folder)), { code: 'PEN_STATE_IN_USE', message: `this process (pid ${process.pid})` })
  const other = await hold(folder)
  t.match(other.said, { code: 'PEN_STATE_IN_USE', message: `state: ${folder} is in use by pid ${process.pid}:` })
  await other.end()
  t.match(await failure(openStore(folder)), { code: 'PEN_STATE_IN_USE' }, 'being refused did not free the lock')

  writeFileSync(join(folder, 'lock.pid'), `${process.pid} elsewhere\n`)
  t.match((await failure(openStore(folder))).message, `by pid ${process.pid} on host elsewhere:`)
  writeFileSync(join(folder, 'lock.pid'), `${first.child.pid} ${hostname()}\n`)
  t.match((await failure(openStore(folder))).message, 'by another process:', 'a pid that is gone is not named')
  writeFileSync(join(folder, 'lock.pid'), 'anything')
  t.match((await failure(openStore(folder))).message, 'by another process:')

  await second.close()
  await (await openStore(folder)).close()
})

t.test('a lock file that is none is named', async t => {
  const folder = t.testdir({ 'lock.db': 'my notes '.repeat(100) })
  const { code, message } = await failure(openStore(folder))
  t.equal(code, 'PEN_STATE_DAMAGED')
  t.match(message, `state: ${join(folder, 'lock.db')} is no lock of Penstock: delete it while no engine runs`)
})

t.test('what is no folder, or lies below a file, is refused', async t => {
  const folder = t.testdir({ file: 'text' })
  for (const path of [join(folder, 'file'), join(folder, 'file', 'below')]) {
    const { code, message } = await failure(openStore(path))
    t.equal(code, 'PEN_STATE_UNWRITABLE')
    t.match(message, /^state: .*file.* is not a folder \((EEXIST|ENOTDIR)\)/)
  }
})

const noUser = isRoot && whyNoOtherUser(NOBODY)
t.test(
  'row 15: a folder or a file without the right to write is refused before anything is touched',
  { skip: noUser },
  async t => {
    const parent = t.testdir()
    const folder = join(parent, 'state')
    mkdirSync(folder)
    chmodSync(folder, 0o555)
    const user = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
    const refused = await hold(folder, user)
    await refused.end()
    t.match(refused.said, { code: 'PEN_STATE_UNWRITABLE', message: `state: ${folder} is not writable (EACCES)` })
    t.same(readdirSync(folder), [])

    chmodSync(folder, 0o755)
    if (isRoot) chownSync(folder, NOBODY, NOBODY)
    const opened = await hold(folder, user)
    t.type(opened.said.open, 'number')
    await opened.end()
    chmodSync(join(folder, 'state.db'), 0o400)
    const again = await hold(folder, user)
    await again.end()
    t.match(again.said, { code: 'PEN_STATE_UNWRITABLE', message: `state: ${join(folder, 'state.db')} is not writable (EACCES)` })
  },
)

const noMount = whyNoMount()
t.test('row 15: a read-only disk is refused', { skip: noMount }, async t => {
  const disk = mountedDisk(t, '32m')
  const folder = join(disk, 'state')
  await (await openStore(folder)).close()
  execFileSync('mount', ['-o', 'remount,ro', disk])
  for (const path of [folder, join(disk, 'new')]) {
    t.match(await failure(openStore(path)), {
      code: 'PEN_STATE_UNWRITABLE',
      message: `state: ${path} is not writable (EROFS)`,
    })
  }
  execFileSync('mount', ['-o', 'remount,rw', disk])
  await (await openStore(folder)).close()
})

const noChattr = whyNoChattr()
t.test('row 15: an immutable folder or file is refused, even for root', { skip: noChattr }, async t => {
  const folder = join(t.testdir(), 'state')
  await (await openStore(folder)).close()
  for (const path of [folder, join(folder, 'state.db'), join(folder, 'letters.db')]) {
    execFileSync('chattr', ['+i', path])
    const { code, message } = await failure(openStore(folder)).finally(() => execFileSync('chattr', ['-i', path]))
    t.equal(code, 'PEN_STATE_UNWRITABLE')
    t.match(message, `state: ${path} is not writable (EPERM)`)
  }
  await (await openStore(folder)).close()
})

t.test('a folder that was copied while nothing ran goes on where it was', async t => {
  const folder = join(t.testdir(), 'state')
  const store = await openStore(folder)
  await store.commit(position('a', 7))
  await store.close()
  const copy = join(t.testdirName, 'copy')
  mkdirSync(copy)
  for (const name of readdirSync(folder)) copyFileSync(join(folder, name), join(copy, name))
  const moved = await openStore(copy)
  t.same(await moved.positions('p', 'in'), new Map([['a', 7]]))
  await moved.close()
})
