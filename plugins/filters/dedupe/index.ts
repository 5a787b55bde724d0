// Lets each event through once, also when it comes again days later or after a restart.
import { hash } from 'node:crypto'
import { defineFilter } from '../../../core/plugin/define.ts'
import type { Context, Event, Gate, Hold } from '../../../core/plugin/interfaces.ts'
import { fieldPath } from '../../lib/field-path.ts'
import { KEY_BYTES } from './key-set.ts'
import { Memory } from './memory.ts'

export default defineFilter({
  summary: 'Lets each event through once',
  description:
    'An event is a repeat when its key was delivered before, also before a restart. A key is reserved when its event is read, kept when ' +
    'every output has confirmed it, in the same transaction as the position, and free again when the event went to the dead letters. ' +
    'A repeat of an event that is still on its way waits for that one. Repeats are counted as duplicates.\n\n' +
    "Without `fields` the key is the event's id. With `fields` it is their values together; an event that lacks one of them, has it " +
    'empty, or has a number beyond 2^53 there (which has lost digits), is let through, because a key that says too little would lose ' +
    'events.\n\n' +
    'Keys are SHA-256 cut to 16 bytes; a million of them takes about 32 MB of memory and 16 MB of the state. When there are more than ' +
    '`max_keys` the oldest eighth is forgotten before its time: the metric `dedupe_evicted` counts them, and a repeat of one of these ' +
    'is let through. Give at least the number of events that come within `expire_ms` to rule that out.',
  options: {
    fields: {
      type: 'array',
      items: { type: 'string', format: 'field' },
      minItems: 1,
      description: "Fields whose values together are the key; the event's id when absent",
    },
    expire_ms: {
      type: 'integer',
      minimum: 1000,
      default: 691_200_000,
      description:
        'How long a key is remembered after its delivery; the default is 8 days, because Microsoft 365 offers audit records for 7 days ' +
        'and sends some of them again within that time',
    },
    max_keys: {
      type: 'integer',
      minimum: 1000,
      maximum: 50_000_000,
      default: 2_000_000,
      description: 'How many keys are remembered at most',
    },
  },
  examples: [{}, { fields: ['email.message_id', 'email.to.address'], expire_ms: 86_400_000, max_keys: 5_000_000 }],
  create({ fields, expire_ms, max_keys }) {
    const gate = new DedupeGate(keyOf(fields), { expire_ms, max_keys })
    return { gate, open: context => gate.open(context) }
  },
})

class DedupeGate implements Gate {
  readonly key: Gate['key']
  readonly #memory: Memory
  /** Keys of events on their way → the holds of the repeats that wait for them. */
  readonly #waiting = new Map<string, Hold[]>()
  #clock: { now(): number } = Date
  #context: Context | undefined

  constructor(key: Gate['key'], limits: { readonly expire_ms: number; readonly max_keys: number }) {
    this.key = key
    this.#memory = new Memory(limits, evicted => {
      this.#context?.metrics.count(
        'dedupe_evicted',
        'Keys forgotten before their time, because there were more than max_keys',
        evicted,
      )
      this.#context?.log.warn(
        { keys: evicted, max_keys: limits.max_keys },
        'the oldest keys are forgotten early; a larger max_keys would keep them',
      )
    })
  }

  async open(context: Context): Promise<void> {
    this.#context = context
    this.#clock = context.clock
    const obsolete = this.#memory.load(await context.rows.list(''), context.clock.now())
    if (obsolete.length > 0) await context.rows.put(obsolete)
    this.#gauge()
  }

  admit(key: string, hold: Hold): boolean {
    this.#memory.expire(this.#clock.now())
    const state = this.#memory.reserve(key)
    if (state === 'kept') hold.release()
    else if (state === 'reserved') {
      const waiting = this.#waiting.get(key)
      if (waiting) waiting.push(hold)
      else this.#waiting.set(key, [hold])
    }
    return state === 'new'
  }

  keep(keys: readonly string[]) {
    if (keys.length === 0) return []
    const rows = this.#memory.keep(keys, this.#clock.now())
    this.#gauge()
    return rows
  }

  settled(key: string, delivered: boolean): void {
    // Kept keys were remembered by `keep`. The others lie in the dead letters: what repeats them then goes its own way.
    if (!delivered) this.#memory.free(key)
    if (this.#waiting.size === 0) return
    const waiting = this.#waiting.get(key)
    if (!waiting) return
    this.#waiting.delete(key)
    for (const hold of waiting) hold.release()
  }

  #gauge(): void {
    this.#context?.metrics.gauge('dedupe_keys', 'Keys that are remembered', this.#memory.size)
    this.#context?.metrics.gauge('dedupe_bytes', 'Memory that the remembered keys take', this.#memory.bytes)
  }
}

/** The key of an event as 16 characters of Latin-1. Names of the fields are part of it: with other `fields`, old keys match nothing. */
function keyOf(fields: readonly string[] | undefined): (event: Event) => string | undefined {
  // MD5 and the like would let an attacker prepare two events with one key, of which the second is never seen.
  const cut = (text: string) => hash('sha256', text, 'latin1').slice(0, KEY_BYTES)
  if (!fields) return event => cut(`id ${event.id}`)
  const paths = fields.map((field, index) => fieldPath(field, `fields[${index}]`))
  const names = JSON.stringify(fields)
  return event => {
    const values: unknown[] = []
    for (const path of paths) {
      const value = path.get(event.fields)
      if (value === undefined || value === null || value === '' || !isExact(value)) return undefined
      values.push(value)
    }
    return cut(names + JSON.stringify(values))
  }
}

/** False where a number has lost digits (or all of them, as 1e400): other events would have the same key. */
function isExact(value: unknown): boolean {
  if (typeof value === 'number') return Math.abs(value) <= Number.MAX_SAFE_INTEGER
  return typeof value !== 'object' || value === null || Object.values(value).every(isExact)
}
