// An output for tests of disk queues: each batch becomes a file of its own, unless a file `down` says that the destination is away.
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineOutput } from '../../core/plugin/define.ts'
import { PermanentError } from '../../core/plugin/errors.ts'
import { REFUSED_PLACE } from '../kit/ledger.ts'

export default defineOutput({
  summary: 'Writes each batch into a file of its own, for tests',
  options: {
    path: { type: 'string', required: true, description: 'The folder of the files' },
    refuses: { type: 'boolean', default: false, description: 'Whether it refuses one of the places' },
  },
  examples: [{ path: '/tmp/out' }],
  create({ path, refuses }) {
    let batches = 0
    return {
      concurrency: 2,
      encode(event, to) {
        to.json(event.fields)
        to.byte(10)
        return undefined
      },
      open() {
        mkdirSync(path, { recursive: true })
      },
      async write(items, reject) {
        if (existsSync(join(path, 'down'))) throw new Error('the destination is down')
        const lines = items.flatMap(({ bytes }, index) => {
          const line = Buffer.from(bytes).toString()
          if (!refuses || (JSON.parse(line) as { place?: string }).place !== REFUSED_PLACE) return line
          reject(index, new PermanentError('the destination refuses this place'))
          return []
        })
        const file = join(path, `${process.pid}-${batches++}`)
        writeFileSync(`${file}.part`, lines.join(''))
        renameSync(`${file}.part`, `${file}.ndjson`)
      },
    }
  },
})
