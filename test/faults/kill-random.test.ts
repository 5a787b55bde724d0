// kill -9 at random times, over and over, while records are written to the sources that the program follows.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Scene, told } from '../kit/kill-scene.ts'
import { full, randomOf, rounds, seed } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'

const CAMPAIGNS = full ? 2 : 1
const KILLS = Math.ceil(rounds(70) / CAMPAIGNS)
/** How long a start takes, about; and the longest that events flow before a kill. Milliseconds. */
const START_MS = 350
const FLOW_MS = 150

t.jobs = CAMPAIGNS
t.setTimeout(600_000)

for (let campaign = 0; campaign < CAMPAIGNS; campaign++) {
  t.test(`row 4: killed ${KILLS} times at random times (${campaign}), nothing is lost and nothing torn`, async t => {
    const random = randomOf(400 + campaign)
    const scene = new Scene(t.testdir({}), { random, compression: campaign === 0 ? 'zstd' : 'gzip' })
    // What the output does is seen from its folder, which it renames files in, and from its present file.
    const trail = () =>
      ['out', 'out/all.ndjson'].map(name => {
        const stats = statSync(join(scene.work, name), { throwIfNoEntry: false })
        return `${stats?.mtimeMs} ${stats?.size}`
      })
    let killed = 0
    let flowing = 0
    let moved = 0
    for (let kill = 0; kill < KILLS; kill++) {
      scene.more(6)
      const before = trail().join()
      const stop = scene.write()
      const life = scene.start(t, 'follow')
      const gone = () => life.child.exitCode !== null
      // A kill while positions are being stored, while events flow, or at boot.
      const moment = kill % 3
      if (moment === 0) await until(() => scene.stored() > moved || gone(), life.stderr)
      if (moment === 1) await until(() => trail().join() !== before || gone(), life.stderr)
      await new Promise(resolve => setTimeout(resolve, random() * (moment < 2 ? FLOW_MS : START_MS)))
      life.child.kill('SIGKILL')
      const { signal, code, stderr } = await life.ended
      stop()
      t.equal(signal, 'SIGKILL', `ended with ${code}: ${stderr}`)
      if (signal === 'SIGKILL') killed++
      if (trail().join() !== before) flowing++
      t.same(scene.afterKill(), [], 'what lies before the stored positions is settled')
      moved = scene.stored()
    }
    t.ok(flowing > 0, `${flowing} kills while events flowed`)
    t.ok(moved > 0, 'positions were stored between the kills')
    await scene.finish(t)
    t.comment(`seed ${seed}: ${killed} killed of ${KILLS}, ${flowing} of them while events flowed, ${told([scene.totals()])}`)
  })
}
