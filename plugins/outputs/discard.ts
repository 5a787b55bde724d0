// Counts events and forgets them.
import { defineOutput } from '../../core/plugin/define.ts'

export default defineOutput({
  summary: 'Counts events and forgets them: for dry runs and measurements',
  description:
    'The events are encoded as JSON lines like those of the `file` output, so that what is measured is the whole way but the disk.',
  options: {},
  examples: [{}],
  create(_, site) {
    let events = 0
    let bytes = 0
    return {
      encode(event, to) {
        to.json(event.fields)
        to.byte(10)
        return undefined
      },
      async write(items) {
        for (const item of items) bytes += item.bytes.byteLength
        events += items.length
      },
      summary() {
        return {
          title: `Discarded by ${site.id}`,
          rows: [
            ['events', events],
            ['bytes', bytes],
          ],
        }
      },
    }
  },
})
