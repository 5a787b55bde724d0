// Power cuts: state and outputs lie on a disk whose cache loses what was not flushed, sector by sector. What was confirmed to the source
// is there when power is back, the program starts, and nothing is lost.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openStore } from '../../core/state/store.ts'
import { root } from '../kit/cases.ts'
import { scratch } from '../kit/kill-run.ts'
import { Scene, told } from '../kit/kill-scene.ts'
import type { Totals } from '../kit/ledger.ts'
import { full, randomOf, rounds, seed } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import type { Cut } from './power-disk.ts'
import { makeImage, plainDisk, powerDisk, whyNoDisk } from './power-mount.ts'

/**
 * Ways in which ext4 keeps its journal; all of them promise what fsync promises. Without data=journal: when its journal aborts under a
 * page that SQLite has mapped, Linux (6.18) runs into a BUG of its own (jbd2_journal_dirty_metadata), and the process never ends.
 */
const JOURNALS = full ? ['defaults', 'data=writeback', 'nodelalloc'] : ['defaults']
const CUTS = Math.ceil(rounds(40) / JOURNALS.length)
const COPIES = rounds(10)

t.setTimeout(900_000)

/** A scene whose source forgets what it was told is settled; `fixed.yaml` takes what `once.yaml` refuses. */
function sceneOn(folder: string, mount: string, random: () => number) {
  const notes = join(folder, 'notes')
  const path = join(folder, 'in/0.ndjson')
  const input = { type: join(root, 'test/faults/power-input.ts'), id: 'in', codec: 'ndjson', path, notes }
  const scene = new Scene(folder, { random, files: 1, work: mount, replays: true, pipeline: { inputs: [input] } })
  const pipeline = JSON.parse(readFileSync(join(folder, 'once.yaml'), 'utf8'))
  pipeline.outputs[1].path = 'out/logins/fixed.ndjson.gz'
  writeFileSync(join(folder, 'fixed.yaml'), JSON.stringify(pipeline))
  writeFileSync(notes, '')
  return { scene, notes }
}

/** Cuts the power `count` times, each time with the program at work, and completes the work on what the last cut has left. */
async function campaign(t: Test, kind: typeof powerDisk, count: number, options: string, random: () => number): Promise<void> {
  const folder = scratch(t)
  const { scene, notes } = sceneOn(folder, join(folder, 'mount'), random)
  const cuts: Cut[] = []
  /** Lives that ended by themselves before the power was cut. */
  let late = 0
  const dice = () => Array.from({ length: 4096 }, random)
  let totals: Totals | undefined
  let image = join(folder, 'image0')
  makeImage(image)
  for (let round = 0; round <= count; round++) {
    const disk = await kind(t, image, folder, options)
    t.same(scene.afterKill(), [], `after cut ${round}: what is stored as settled is in the files`)
    if (round > 0) await mark(join(disk.mount, 'state'))
    const isFixed = round % 2 === 1
    if (round === count) {
      await scene.complete(t)
      totals = scene.totals()
      await disk.remove()
      break
    }
    scene.more(200)
    const before = statSync(notes).size
    const life = scene.start(t, isFixed ? 'fixed' : 'once')
    let isOver = false
    const ended = life.ended.finally(() => {
      isOver = true
    })
    // While events flow, or at some moment of the start.
    const isFlowing = random() < 0.7
    if (isFlowing) await until(() => statSync(notes).size > before || isOver, life.stderr)
    image = join(folder, `image${round + 1}`)
    const order = { writes: 1 + Math.floor(random() * (isFlowing ? 60 : 250)), to: image, dice: dice() }
    if (kind === plainDisk) life.child.kill('SIGSTOP')
    const cut = disk.cut(kind === plainDisk ? { ...order, writes: 0 } : order)
    await Promise.race([cut, ended])
    if (isOver) void disk.cut({ ...order, writes: 0 })
    const told = await cut
    cuts.push(told)
    if (isOver && told.atOnce) {
      late++
      const { code, stderr } = await ended
      t.equal(code, 0, stderr)
    }
    life.child.kill('SIGKILL')
    await ended
    await disk.remove()
  }
  const said = readFileSync(notes, 'utf8')
  t.notMatch(said, 'forgotten', 'what was confirmed to the source was stored')
  t.ok(said.split('\n').length > count, 'the source was told what is settled')
  const sum = (of: 'lost' | 'cached' | 'torn') => cuts.reduce((all, cut) => all + cut[of], 0)
  if (kind === powerDisk) t.ok(sum('lost') > 0, 'the cuts did lose something')
  if (count > 3) t.ok(totals!.replayed > 0, 'letters were replayed meanwhile')
  t.comment(
    `seed ${seed}: ${cuts.length} power cuts (${late} after the end), ${options}: ${sum('lost')} of ${sum('cached')} cached sectors ` +
      `lost, ${sum('torn')} writes torn, ${totals?.replayed} letters replayed, ${told([totals!])}`,
  )
}

/** Marks all dead letters for a replay. */
async function mark(state: string): Promise<void> {
  // Where the power was cut before there was a store, none can be opened.
  const store = await openStore(state, { beside: true }).catch(() => undefined)
  await store?.letters.mark({})
  await store?.close()
}

const noCache = await whyNoDisk(powerDisk)
const noCopy = await whyNoDisk(plainDisk)

t.test('the disk of these tests does lose what was not flushed, and only that', { skip: noCache }, async t => {
  const folder = scratch(t)
  const image = join(folder, 'image')
  makeImage(image)
  // Without barriers ext4 does not flush: what fsync has promised is lost.
  for (const [options, kept] of [
    ['defaults', true],
    ['nobarrier', false],
  ] as const) {
    const disk = await powerDisk(t, image, folder, options)
    const file = await open(join(disk.mount, 'file'), 'w')
    await file.write('x'.repeat(10_000))
    await file.sync()
    await file.close()
    const to = join(folder, `after-${options}`)
    const { lost } = await disk.cut({ writes: 0, to, dice: [0] })
    await disk.remove()
    const after = await powerDisk(t, to, folder)
    const bytes = await readFile(join(after.mount, 'file')).then(
      ({ length }) => length,
      () => 0,
    )
    t.equal(bytes, kept ? 10_000 : 0, `${options}: ${lost} sectors lost`)
    await after.remove()
  }
})

for (const [index, options] of JOURNALS.entries()) {
  t.test(
    `rows 5, 6, 7: the power is cut ${CUTS} times, unflushed sectors are lost (${options}): what was confirmed is there, nothing is lost`,
    { skip: noCache },
    t => campaign(t, powerDisk, CUTS, options, randomOf(500 + index)),
  )
}

t.test(
  `row 5: the disk is copied ${COPIES} times under a stopped program, and the program goes on with the copy`,
  { skip: noCopy },
  t => campaign(t, plainDisk, COPIES, 'defaults', randomOf(550)),
)
