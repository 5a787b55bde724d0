// The promise, on the real program: killed with -9 at random while its outputs misbehave, it loses no event.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openStore } from '../../core/state/store.ts'
import { recordLines } from '../bench/records.ts'
import { root } from '../kit/cases.ts'
import { start } from '../kit/process.ts'

t.setTimeout(150_000)

const RECORDS = 2_000
const KILLS = 8

function lines(file: string): string[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : []
}

for (const workers of [0, 2]) {
  t.test(
    `killed with -9 at random, ${workers} workers: every event is delivered to both outputs or dead-lettered`,
    { timeout: 100_000 },
    async t => {
      const seed = Number(process.env.SEED ?? 7 + workers)
      t.comment(`SEED=${seed} repeats this run`)
      const folder = t.testdir({})
      const chaos = join(root, 'test/kit/chaos-output.ts')
      const file = join(folder, 'pipeline.yaml')
      writeFileSync(
        file,
        JSON.stringify({
          name: 'chaos',
          workers,
          in_flight_bytes: 400_000,
          inputs: [{ type: 'generate', count: RECORDS, seed }],
          filters: [{ type: 'ecs' }],
          outputs: [
            {
              type: chaos,
              id: 'a',
              ledger: 'a.txt',
              seed,
              refuse: '7',
              batch: { max_events: 50 },
              retry: { min_ms: 1, max_ms: 5 },
            },
            { type: chaos, id: 'b', ledger: 'b.txt', seed: seed + 1, batch: { max_events: 30 }, retry: { min_ms: 1, max_ms: 5 } },
          ],
        }),
      )
      const args = ['run', file, '--log-level', 'error', '--no-progress']
      let random = seed
      let killed = 0
      let ended: Awaited<ReturnType<typeof start>['ended']> | undefined
      while (!ended) {
        const { child, ended: over } = start(args, { cwd: folder })
        const before = lines(join(folder, 'b.txt')).length
        if (killed < KILLS) {
          // Killed once it has delivered something more: a kill before that would prove nothing.
          random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0
          const more = 1 + (random % 200)
          const watch = setInterval(() => {
            if (lines(join(folder, 'b.txt')).length < before + more) return
            clearInterval(watch)
            child.kill('SIGKILL')
          }, 1)
          const { signal, code, stderr } = await over
          clearInterval(watch)
          if (signal === 'SIGKILL') killed++
          else ended = { signal, code, stderr, stdout: '' }
        } else ended = await over
      }
      t.equal(ended.code, 0, ended.stderr)
      t.ok(killed >= 5, `${killed} kills while events were delivered`)

      const expected = new Set<string>()
      for await (const block of recordLines(RECORDS, seed)) {
        for (const line of block.toString('utf8').split('\n')) if (line) expected.add((JSON.parse(line) as { Id: string }).Id)
      }
      const store = await openStore(join(folder, 'state'), { beside: true })
      const letters = await store.letters.list({ limit: RECORDS * 2 })
      await store.close()
      for (const output of ['a', 'b']) {
        const buried = new Set(
          letters
            .filter(({ step }) => step === output)
            .map(({ bytes }) => (JSON.parse(Buffer.from(bytes).toString()) as { Id: string }).Id),
        )
        const delivered = new Set(lines(join(folder, `${output}.txt`)))
        const lost = [...expected].filter(id => !delivered.has(id) && !buried.has(id))
        t.same(
          lost,
          [],
          `output ${output}: none lost (${delivered.size} delivered, ${buried.size} dead letters, ${expected.size} produced)`,
        )
        t.same(
          [...delivered].filter(id => !expected.has(id)),
          [],
          `output ${output}: none invented`,
        )
      }
      t.ok(letters.length > 0, 'some were refused for good')
      t.match(ended.stderr, /chaos/, 'the summary was printed')
    },
  )
}
