// Reads a folder while all file descriptors are taken, and prints what came of it: run with a low limit of them.
import { closeSync, openSync, realpathSync } from 'node:fs'
import process from 'node:process'
import { createBuffers } from '../../plugins/inputs/file/content.ts'
import { createFinder } from '../../plugins/inputs/file/discover.ts'
import { createTroubles, type Job } from '../../plugins/inputs/file/job.ts'
import { readOnce } from '../../plugins/inputs/file/once.ts'
import { Known } from '../../plugins/inputs/file/position.ts'
import { lines, recordsOf, testClock } from './file-input-support.ts'

const folder = realpathSync(process.argv[2] as string)
const health: string[] = []
const taken: number[] = []
const context = {
  codec: lines,
  maxEventBytes: 1 << 20,
  clock: testClock(),
  log: { debug() {}, info() {}, warn() {}, error() {} },
  health(status: string) {
    health.push(status)
    for (const fd of taken.splice(0)) closeSync(fd)
  },
}
const finder = createFinder(folder, ['a.log', 'b.log'], [], 'name')
const job = {
  context,
  finder: {
    ...finder,
    async list() {
      const listing = await finder.list()
      for (;;) {
        try {
          taken.push(openSync('/dev/null', 'r'))
        } catch {
          return listing
        }
      }
    },
  },
  options: { compression: 'auto', encoding: 'auto', missing: 'error', forget_after_ms: 1000 },
  known: new Known(),
  tally: { files: 0, before: 0, bytes: 0, damages: 0 },
  troubles: createTroubles(context as never),
  buffers: createBuffers(2),
} as unknown as Job
const records: string[] = []
for await (const chunk of readOnce(job, new AbortController().signal)) records.push(...recordsOf(chunk))
process.stdout.write(JSON.stringify({ records, health }))
