// The store's thread: its unexpected end, other programs' locks, and the compiled package.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import t from 'tap'
import { openStore } from '../../core/state/store.ts'
import type { StateStore } from '../../core/state/types.ts'
import { failure, letter, position, until } from '../fixtures/state/parts.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What a program prints, run without what the test runner would load into it. */
const node = (args: readonly string[]) =>
  execFileSync('env', ['NODE_OPTIONS=', process.execPath, ...args], { timeout: 60_000, encoding: 'utf8' })

/** A store with the thread that it runs. */
async function withThread(folder: string): Promise<{ store: StateStore; thread: Worker }> {
  const started = new Promise<Worker>(resolve => process.once('worker', resolve))
  const store = await openStore(folder)
  return { store, thread: await started }
}

t.test('a thread that dies rejects what is under way and all later calls', async t => {
  const folder = t.testdir()
  const { store, thread } = await withThread(folder)
  await store.commit(position('kept', 1))
  const other = new DatabaseSync(join(folder, 'state.db'), { timeout: 5000 })
  other.exec('BEGIN IMMEDIATE')
  const pending = [store.commit(position('a', 1)), store.commit(position('b', 1)), store.get('s', 'k')].map(failure)
  await store.letters.counts()
  await thread.terminate()
  other.exec('COMMIT')
  other.close()
  for (const { code, message } of await Promise.all(pending)) {
    t.equal(code, 'PEN_STATE_THREAD')
    t.match(message, `state: the thread that keeps ${folder} has ended unexpectedly: start Penstock again`)
  }
  t.equal((await failure(store.letters.add([letter()]))).code, 'PEN_STATE_THREAD')
  t.equal((await failure(store.positions('p', 'in'))).code, 'PEN_STATE_THREAD')
  await store.close()

  const again = await openStore(folder)
  t.same([...(await again.positions('p', 'in')).keys()], ['kept'], 'the lock is free and the state whole')
  await again.close()
})

t.test('a thread that dies while the store closes does not hang it', async t => {
  const folder = t.testdir()
  const { store, thread } = await withThread(folder)
  const other = new DatabaseSync(join(folder, 'state.db'), { timeout: 5000 })
  other.exec('BEGIN IMMEDIATE')
  const pending = failure(store.commit(position('a', 1)))
  const closed = store.close()
  await thread.terminate()
  t.equal((await pending).code, 'PEN_STATE_THREAD')
  await closed
  other.close()
})

t.test('a lock of another program is waited for, told of, and holds up nothing but its file', async t => {
  const folder = t.testdir()
  const told: string[] = []
  const say = (_fields: object, line: string) => told.push(line)
  const store = await openStore(folder, { log: { debug: say, info: say, warn: say, error: say } })
  t.teardown(() => store.close())
  await store.commit(position('a', 0))
  const other = new DatabaseSync(join(folder, 'state.db'), { timeout: 5000 })
  other.exec('BEGIN IMMEDIATE')
  const commit = store.commit(position('a', 1))
  await until(() => told.length > 0)
  t.match(told, [/^state: state\.db is locked by another program/])
  await store.letters.add([letter()])
  other.exec('ROLLBACK')
  other.close()
  await commit
  t.same(await store.positions('p', 'in'), new Map([['a', 1]]))
})

t.test('a process that forgets to close the store can end, but not before its commits are answered', async t => {
  const folder = join(t.testdir(), 'state')
  const script = `
    import { openStore } from ${JSON.stringify(pathToFileURL(join(root, 'core/state/store.ts')).href)}
    const store = await openStore(${JSON.stringify(folder)})
    store.commit({ positions: [['p', 'in', 'a', 1]], rows: [] }).then(() => console.log('answered'))`
  const answer = node(['--input-type=module', '-e', script])
  t.equal(answer, 'answered\n')
  const store = await openStore(folder)
  t.same(await store.positions('p', 'in'), new Map([['a', 1]]))
  await store.close()
})

t.test('the compiled store starts its compiled thread', async t => {
  const out = t.testdir({ 'package.json': '{ "type": "module" }' })
  const options = [
    '--ignoreConfig',
    '--module',
    'nodenext',
    '--target',
    'es2025',
    '--rewriteRelativeImportExtensions',
    '--noCheck',
  ]
  const paths = ['--rootDir', root, '--outDir', join(out, 'dist')]
  const sources = ['store.ts', 'store-thread.ts'].map(name => join(root, 'core/state', name))
  node([join(root, 'node_modules/typescript/bin/tsc'), ...options, ...paths, ...sources])
  const folder = join(out, 'dist/core/state')
  t.ok(existsSync(join(folder, 'store-thread.js')))
  t.same(
    readdirSync(folder).filter(name => !name.endsWith('.js')),
    [],
  )
  const compiled = (await import(pathToFileURL(join(folder, 'store.js')).href)) as typeof import('../../core/state/store.ts')
  const store = await compiled.openStore(join(out, 'state'))
  await store.commit(position('a', 1))
  t.same(await store.positions('p', 'in'), new Map([['a', 1]]))
  await store.close()
})

t.test('no error of an open repeats what lies in the files', async t => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'state.db'), 'my secret '.repeat(1000))
  const { message, cause } = await failure(openStore(folder))
  t.notMatch(message + cause, 'secret')
})
