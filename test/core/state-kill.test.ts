// Processes that are killed in the middle of their commits: what was acknowledged is there, and nothing is there by half.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openStore } from '../../core/state/store.ts'
import { hold, run } from '../fixtures/state/parts.ts'
import { randomOf, rounds } from '../kit/rounds.ts'

const CHAINS = 4
const KILLS = rounds(40)

/** Runs the committer, kills it a moment after its first acknowledgement, and gives what it had said until then. */
async function killed(
  folder: string,
  afterMs: number,
): Promise<{ commit: number; letters: number[]; signal: unknown; pid: number }> {
  const child = run('committer.ts', folder)
  let said = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    said += text
  })
  child.stdout.once('data', () => setTimeout(() => child.kill('SIGKILL'), afterMs))
  const [, signal] = await once(child, 'close')
  const numbers = (what: string) => [...said.matchAll(new RegExp(`^${what} (\\d+)\n`, 'gm'))].map(([, n]) => Number(n))
  return { commit: Math.max(0, ...numbers('commit')), letters: numbers('letter'), signal, pid: child.pid ?? 0 }
}

t.jobs = CHAINS

// Children that are killed write no compile cache, so one that ends well does it for them.
await (await hold(join(t.testdir(), 'state'))).end()

for (let chain = 0; chain < CHAINS; chain++) {
  t.test(`row 3: the store is killed in the middle of its commits, ${KILLS} times one after the other (${chain})`, async t => {
    const folder = join(t.testdir(), 'state')
    const next = randomOf(chain)
    let stored = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const { commit, letters: told, signal, pid } = await killed(folder, next() * 80)
      // The fault has really happened, and in the middle of work.
      t.equal(signal, 'SIGKILL')
      t.ok(commit > stored, 'it had committed something')
      t.match(readFileSync(join(folder, 'lock.pid'), 'utf8'), new RegExp(`^${pid} `), 'it could not clean up')

      const store = await openStore(folder)
      const positions = await store.positions('p', 'in')
      const rows = await store.list('p/in', '')
      const n = (positions.get('a') as { n: number }).n
      t.ok(n >= commit, `${n} is stored, ${commit} was acknowledged`)
      t.same(
        [...positions.values()].map(position => (position as { n: number }).n),
        [n, n, n],
      )
      t.equal(rows.length, 20)
      t.ok(
        rows.every(([, value]) => Number(value instanceof Uint8Array ? Buffer.from(value).toString() : value) === n),
        'all rows of the transaction are there',
      )

      const letters = await store.letters.list({ limit: 1e6 })
      const numbers = letters.map(({ meta }) => meta['mine'] as number)
      t.ok(
        told.every(n => numbers.includes(n)),
        `all ${told.length} letters that were acknowledged are there`,
      )
      t.equal(numbers.length, new Set(numbers).size * 2, 'letters that were added together are there together')
      t.notOk(letters.some(({ damaged }) => damaged))
      t.ok(letters.every(({ bytes, length }) => bytes.length === length))
      stored = n
      await store.close()
    }
  })
}
