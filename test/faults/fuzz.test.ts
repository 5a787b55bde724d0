// Every decoder is fed with broken input: it never crashes or hangs, however the bytes come in; nothing is lost in silence; what stands
// before and behind a damage comes out where the format allows it. `fuzz-long.ts` goes on for as long as one likes.
import t from 'tap'
import { full, seed } from '../kit/rounds.ts'
import { failureText, fuzz } from './fuzz-run.ts'
import { CORPUS, corpus } from './fuzz-target.ts'
import { TARGETS } from './fuzz-targets.ts'

/** Inputs of a whole run, of which `npm test` makes a twentieth. What unpacks takes longer than what cuts text. */
const EXECUTIONS: Readonly<Record<string, number>> = { gzip: 6000, zstd: 6000, file: 2000 }
const OTHERS = 20_000
const VARIANTS = full ? 10 : 1

t.test('broken input breaks no promise of any decoder', async t => {
  const files = corpus()
  t.ok(files.length > 40, `${files.length} files in ${CORPUS}`)
  const targets = TARGETS.map(({ name }) => [name, (EXECUTIONS[name] ?? OTHERS) / (full ? 1 : 20)] as const)
  const told = new Set<string>()
  for await (const report of fuzz({ targets, seed, variants: VARIANTS })) {
    told.add(report.target)
    const { target, executions, failure } = report
    if (failure) t.fail(failureText(report, seed))
    else t.ok(executions >= files.length + 100, `${target}: ${executions} inputs`)
  }
  t.strictSame(
    [...told],
    TARGETS.map(({ name }) => name),
    'every target was run',
  )
})
