// `penstock check` of a hundred pipelines in one process.
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { penstock } from './engines.ts'
import { measure } from './measure.ts'

const FILES = 100

export async function checkMany({ board, engines, rounds, folder }: Bench): Promise<void> {
  const files = Array.from({ length: FILES }, (_, n) => join(folder, 'checked', `p${n}.yaml`))
  await mkdir(join(folder, 'checked'))
  for (const [n, file] of files.entries()) await writeFile(file, pipeline(n))
  for (let round = -1; round < rounds; round++) {
    for (const engine of engines) {
      const one = penstock(engine, 'check', files[0] as string)
      const all = penstock(engine, 'check', ...files)
      const single = await measure(one.args, { folder, env: one.env })
      const { cpuMs, wallMs, rssMb } = await measure(all.args, { folder, env: all.env })
      if (round < 0) continue
      board.add('check of 1 pipeline: wall time', 'ms', engine.name, single.wallMs)
      board.add(`check of ${FILES} pipelines: wall time`, 'ms', engine.name, wallMs)
      board.add(`check of ${FILES} pipelines: CPU time`, 'ms', engine.name, cpuMs)
      board.add(`check of ${FILES} pipelines: peak RSS`, 'MB', engine.name, rssMb)
    }
  }
}

function pipeline(n: number): string {
  return `name: p${n}
inputs:
  - { type: file, id: in, paths: ["in/${n}/*.ndjson"] }
filters:
  - { type: ecs }
  - { type: dedupe }
  - { type: drop, when: 'event.action == "action-${n}" && user.name == "svc-backup"' }
  - { type: set, fields: { labels.pipeline: "p${n}" } }
outputs:
  - { type: file, id: all, path: "out/${n}/%{+yyyy-MM-dd}.ndjson" }
  - { type: file, id: logins, path: out/${n}/logins.ndjson, when: '"authentication" in event.category' }
`
}
