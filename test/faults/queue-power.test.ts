// Power cuts with disk queues before the outputs: what the source was told to forget is delivered, or lies in a queue, when power is back.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../kit/cases.ts'
import { scratch } from '../kit/kill-run.ts'
import { Scene, told } from '../kit/kill-scene.ts'
import { OUTPUTS, type Output, STAGE } from '../kit/ledger.ts'
import { randomOf, rounds, seed } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import type { Cut } from './power-disk.ts'
import { makeImage, powerDisk, whyNoDisk } from './power-mount.ts'
import { queued } from './queue-support.ts'

const CUTS = rounds(30)

t.setTimeout(900_000)

/** Before the program starts again, what lies in a queue is not lost. */
class QueueScene extends Scene {
  isOff = false

  override lines(torn: boolean): Record<Output, string[]> {
    const files = super.lines(torn)
    if (!this.isOff) return files
    const state = join(this.work, 'state')
    return { all: [...files.all, ...queued(state, 'all')], logins: [...files.logins, ...queued(state, 'logins')] }
  }
}

t.test(
  `rows 5, 6, 7: the power is cut ${CUTS} times under disk queues: what was confirmed to the source is delivered or queued`,
  { skip: await whyNoDisk(powerDisk) },
  async t => {
    const random = randomOf(590)
    const folder = scratch(t)
    const notes = join(folder, 'notes')
    const path = join(folder, 'in/0.ndjson')
    const input = { type: join(root, 'test/faults/power-input.ts'), id: 'in', codec: 'ndjson', path, notes }
    const rest = { type: 'file', batch: { max_events: 20, max_ms: 5 }, rotate_bytes: 8000, queue: { type: 'disk' } }
    const pipeline = {
      inputs: [input],
      filters: [{ type: 'set', fields: STAGE }, { type: 'dedupe' }],
      outputs: [
        { ...rest, id: 'all', path: 'out/all.ndjson' },
        { ...rest, id: 'logins', path: 'out/logins/%{place}.ndjson', when: 'kind == "login"' },
      ],
    }
    const scene = new QueueScene(folder, { random, files: 1, work: join(folder, 'mount'), replays: true, pipeline })
    writeFileSync(notes, '')
    const cuts: Cut[] = []
    let waiting = 0
    let image = join(folder, 'image0')
    makeImage(image)
    for (let round = 0; round <= CUTS; round++) {
      const disk = await powerDisk(t, image, folder, 'defaults')
      scene.isOff = true
      t.same(scene.afterKill(), [], `after cut ${round}: what is stored as settled is in the files, or in a queue`)
      if (OUTPUTS.some(output => queued(join(scene.work, 'state'), output).length > 0)) waiting++
      scene.isOff = false
      if (round === CUTS) {
        await scene.complete(t)
        const totals = scene.totals()
        await disk.remove()
        const lost = cuts.reduce((sum, cut) => sum + cut.lost, 0)
        t.ok(lost > 0, 'the cuts did lose something')
        t.comment(`seed ${seed}: ${cuts.length} power cuts, ${lost} sectors lost, ${waiting} with a backlog, ${told([totals])}`)
        break
      }
      scene.more(200)
      const before = statSync(notes).size
      const life = scene.start(t, 'once')
      let isOver = false
      const ended = life.ended.finally(() => {
        isOver = true
      })
      const isFlowing = random() < 0.7
      if (isFlowing) await until(() => statSync(notes).size > before || isOver, life.stderr)
      image = join(folder, `image${round + 1}`)
      const order = { to: image, dice: Array.from({ length: 4096 }, random) }
      const cut = disk.cut({ ...order, writes: 1 + Math.floor(random() * (isFlowing ? 80 : 300)) })
      await Promise.race([cut, ended])
      if (isOver) void disk.cut({ ...order, writes: 0 })
      cuts.push(await cut)
      life.child.kill('SIGKILL')
      await ended
      await disk.remove()
    }
    t.notMatch(readFileSync(notes, 'utf8'), 'forgotten', 'what was confirmed to the source was stored')
  },
)
