// Fuzzes the decoders with new random choices for as long as is asked for, and puts what it finds into the corpus:
//   node test/faults/fuzz-long.ts [--minutes N] [--target NAME]
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { crc32 } from 'node:zlib'
import { failureText, fuzz } from './fuzz-run.ts'
import { CORPUS } from './fuzz-target.ts'
import { TARGETS } from './fuzz-targets.ts'

/** How long each target has its turn. */
const TURN_MS = 15_000

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, target: { type: 'string' } } })
const until = performance.now() + Number(values.minutes) * 60_000
const targets = TARGETS.filter(({ name }) => values.target === undefined || name === values.target)
if (targets.length === 0 || !(until > 0)) {
  console.error(`fuzz-long: --minutes N --target ${TARGETS.map(({ name }) => name).join('|')}`)
  process.exit(2)
}

/** Failures that were told: the same sentence again is the same bug, mostly. */
const told = new Set<string>()
let executions = 0
for (let turn = 0; performance.now() < until; turn++) {
  const target = targets[turn % targets.length] as (typeof TARGETS)[number]
  const seed = Math.floor(Math.random() * 1e9)
  const ms = Math.max(1000, Math.min(TURN_MS, until - performance.now()))
  for await (const report of fuzz({ targets: [[target.name, Number.MAX_SAFE_INTEGER]], seed, variants: 0, ms })) {
    executions += report.executions
    const { failure } = report
    if (!failure) continue
    const what = `${target.name}-${failure.error
      .replace(/^.*?: /, '')
      .slice(0, 60)
      .replace(/\d+/g, 'n')}`
    const slug = what
      .replace(/[^a-z]+/gi, '-')
      .replace(/^-|-$/g, '')
      .toLowerCase()
    if (told.has(slug)) continue
    told.add(slug)
    const path = join(CORPUS, target.formats[0] as string, `found-${slug}-${crc32(failure.input).toString(16)}`)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, failure.damaged ?? failure.input)
    console.log(`${failureText(report, seed)}\nwritten to ${path}\n`)
  }
}
console.log(`${executions} inputs, ${told.size} kinds of failures`)
process.exitCode = told.size > 0 ? 1 : 0
