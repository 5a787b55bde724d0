// Faults in which id an event has: one that is lost makes two events one, or one event two.
import { type Mutant, mutantsOf } from './mutant.ts'

const IDS = ['core/ids']

export const eventIds: readonly Mutant[] = [
  ...mutantsOf('core/flow/event.ts', IDS, [
    {
      name: 'given-id-ignored',
      breaks: 'The id that a chunk gives a record is hidden by what stands in the record',
      find: 'if (this.#ids?.given !== undefined && !this.#whole) return this.#ids.given',
      replace: '',
    },
  ]),
  ...mutantsOf('core/flow/transform.ts', IDS, [
    {
      name: 'id-field-ignored',
      breaks: "A record's own id is not taken: the same record in another spelling is another event",
      find: 'idField === undefined ? undefined : decoded[idField]',
      replace: 'undefined',
    },
  ]),
  ...mutantsOf('core/flow/fan-out.ts', IDS, [
    {
      name: 'letter-without-record-id',
      breaks: 'A dead letter forgets the id that its chunk gave',
      find: 'meta: id === undefined ? meta : { ...meta, [RECORD_ID]: id },',
      replace: 'meta,',
    },
  ]),
  ...mutantsOf('core/flow/replay.ts', IDS, [
    {
      name: 'replay-without-record-id',
      breaks: 'A dead letter comes again under another id than it had',
      find: "...(typeof id === 'string' && { ids: new Map([[0, id]]) }),",
      replace: '',
    },
  ]),
]
