// kill -9 at random times with disk queues before the outputs: one lives, the other is down and up again. Nothing is lost, torn or invented.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { root } from '../kit/cases.ts'
import { Scene, told } from '../kit/kill-scene.ts'
import { OUTPUTS, type Output, STAGE } from '../kit/ledger.ts'
import { full, randomOf, rounds, seed } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import { queued } from './queue-support.ts'

const CAMPAIGNS = full ? 2 : 1
const KILLS = Math.ceil(rounds(70) / CAMPAIGNS)
/** How long a start takes, about; and the longest that events flow before a kill. Milliseconds. */
const START_MS = 350
const FLOW_MS = 250

t.setTimeout(600_000)

function delivered(folder: string, output: Output): string[] {
  const path = join(folder, 'out', output)
  if (!existsSync(path)) return []
  const files = readdirSync(path).filter(name => name.endsWith('.ndjson'))
  return files.flatMap(name => readFileSync(join(path, name), 'utf8').split('\n').filter(Boolean))
}

async function campaign(t: Test, random: () => number): Promise<void> {
  const folder = t.testdir({})
  /** While the program is dead: what lies in a queue has not been lost. */
  let isDead = false
  const lines = () =>
    Object.fromEntries(
      OUTPUTS.map(output => [output, [...delivered(folder, output), ...(isDead ? queued(join(folder, 'state'), output) : [])]]),
    ) as Record<Output, string[]>
  const type = join(root, 'test/faults/queue-output.ts')
  const batch = { max_events: 20, max_ms: 5 }
  const rest = { batch, queue: { type: 'disk', max_bytes: 200_000 }, retry: { min_ms: 5, max_ms: 50 } }
  const pipeline = {
    outputs: [
      { type, id: 'all', path: join(folder, 'out/all'), ...rest },
      { type, id: 'logins', path: join(folder, 'out/logins'), refuses: true, when: 'kind == "login"', ...rest },
    ],
    filters: [{ type: 'set', fields: STAGE }, { type: 'dedupe' }],
  }
  // What `logins` will refuse lies in its queue first.
  const scene = new Scene(folder, { random, pipeline, lines, replays: true })
  const down = join(folder, 'out/logins/down')
  mkdirSync(join(folder, 'out/logins'), { recursive: true })
  let flowing = 0
  let waiting = 0
  let moved = 0
  for (let kill = 0; kill < KILLS; kill++) {
    // Down for whole lives, for the second half of one, or not at all.
    const outage = Math.floor(random() * 3)
    if (outage > 0) writeFileSync(down, '')
    else rmSync(down, { force: true })
    scene.more(6)
    const before = delivered(folder, 'all').length
    const stop = scene.write()
    const life = scene.start(t, 'follow')
    const gone = () => life.child.exitCode !== null
    const moment = kill % 3
    if (moment === 0) await until(() => scene.stored() > moved || gone(), life.stderr)
    if (moment === 1) await until(() => delivered(folder, 'all').length > before || gone(), life.stderr)
    if (outage === 1) rmSync(down, { force: true })
    await new Promise(resolve => setTimeout(resolve, random() * (moment < 2 ? FLOW_MS : START_MS)))
    life.child.kill('SIGKILL')
    const { signal, code, stderr } = await life.ended
    stop()
    t.equal(signal, 'SIGKILL', `ended with ${code}: ${stderr}`)
    if (delivered(folder, 'all').length > before) flowing++
    if (queued(join(folder, 'state'), 'logins').length > 0) waiting++
    isDead = true
    t.same(scene.afterKill(), [], 'what lies before the stored positions is delivered, or in a queue')
    isDead = false
    moved = scene.stored()
  }
  t.ok(flowing > 0, `${flowing} kills while events flowed`)
  t.ok(waiting > 0, `${waiting} kills with events in the queue of the output that was down`)
  rmSync(down, { force: true })
  await scene.finish(t)
  for (const output of OUTPUTS) t.same(queued(join(folder, 'state'), output), [], `the queue of ${output} is empty`)
  t.comment(`seed ${seed}: ${KILLS} kills, ${flowing} while events flowed, ${waiting} with a backlog, ${told([scene.totals()])}`)
}

for (let index = 0; index < CAMPAIGNS; index++) {
  t.test(
    `rows 4, 64: killed ${KILLS} times at random times with a dead and a living output (${index}), nothing is lost and nothing torn`,
    t => campaign(t, randomOf(900 + index)),
  )
}
