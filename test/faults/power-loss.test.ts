// The program is killed, and then its outputs lose every byte and every name that was not synced: what was stored as settled is there.
import { join } from 'node:path'
import t from 'tap'
import { Scene, told } from '../kit/kill-scene.ts'
import { randomOf, rounds, seed } from '../kit/rounds.ts'
import { losePower, sizesBelow } from './power-loss.ts'

const CUTS = rounds(40)
/** Moments at which something has been confirmed a moment ago, or is just about to be. */
const MOMENTS = [
  'state/state.db: COMMIT of positions and rows, after',
  'out/all.ndjson: rename, after',
  'out/all.ndjson: create, after',
  'out/all.ndjson: write, after',
  'state/state.db: INSERT INTO positions, before',
  'out/logins/*: create, after',
  'out: sync, before',
  'out/logins/*: datasync, before',
]

t.setTimeout(600_000)

t.test(
  `rows 6, 7: ${CUTS} kills after each of which all is lost that was not synced, names too: nothing confirmed is`,
  async t => {
    const random = randomOf(600)
    const scene = new Scene(t.testdir({}), { random, compression: 'zstd' })
    const out = join(scene.work, 'out')
    const lost = { names: 0, bytes: 0 }
    let killed = 0
    for (let cut = 0; cut < CUTS; cut++) {
      scene.more(20)
      const durable = sizesBelow(out)
      const at = `${MOMENTS[cut % MOMENTS.length]} #${1 + Math.floor(random() * 4)}`
      const { signal, code, stderr } = await scene.start(t, 'once', { at }).ended
      // A moment that does not come so often leaves a life that ends well: it has nothing to lose.
      if (signal === 'SIGKILL') killed++
      else t.equal(code, 0, stderr)
      const { names, bytes } = losePower(out, durable, scene.notes(), random)
      if (signal !== 'SIGKILL') t.same({ names, bytes }, { names: 0, bytes: 0 }, 'all is synced at the end')
      lost.names += names
      lost.bytes += bytes
      t.same(scene.afterKill(), [], `${at}: what lies before the stored positions is settled`)
    }
    await scene.complete(t)
    t.ok(killed > CUTS / 2, `${killed} killed`)
    t.ok(lost.names > 0, `${lost.names} names were lost`)
    t.ok(lost.bytes > 0, `${lost.bytes} bytes were lost`)
    t.comment(
      `seed ${seed}: ${killed} kills of ${CUTS}, ${lost.names} names and ${lost.bytes} bytes not synced, ${told([scene.totals()])}`,
    )
  },
)
