// The records that the model reads, and what must become of each: the whole of what the reference knows about the transform.
import { buffers } from '../../../core/plugin/buffers.ts'
import type { Chunk, Fault } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'

/** What a record does on its way through: codec → early → once (the gate) → late → encode. */
export const KINDS = [
  'plain',
  'garbage',
  'piece',
  'none',
  'list',
  'early drop',
  'early fail',
  'early split',
  'late drop',
  'late fail',
  'late split',
  'unencodable',
] as const

export interface RecordSpec {
  readonly kind: (typeof KINDS)[number]
  /** Outputs that take it: 0 none, 1 a, 2 b, 3 both. */
  readonly to: number
  /** Events with one key are one event to the gate; -1: the gate lets it pass. */
  readonly key: number
  /** How the outputs answer for it, until all faults are healed. */
  readonly poison: 'none' | 'permanent' | 'too large' | 'busy'
}

export const OUTPUTS = ['a', 'b'] as const
/** Parts of a split, and objects of a list. */
const PARTS = 2

/** One thing that must have happened before the record may be forgotten: `step` has delivered the event, or dead-lettered it. */
export interface Duty {
  readonly step: string
  readonly event: string
}

/** What the gate lets through or not, as a whole; without a key, an event and all that was made of it. */
export interface Unit {
  readonly event: string
  readonly key: string | undefined
  readonly duties: readonly Duty[]
  /** How its events count when it is let through. */
  readonly counts: readonly ('dropped' | 'unrouted' | 'failed' | 'routed')[]
}

/** What must become of a record, by its id. */
export function unitsOf({ kind, to, key: k }: RecordSpec, id: string, input: string): Unit[] {
  const key = k < 0 ? undefined : `k${k}`
  const letter = (step: string): Unit => ({ event: id, key: undefined, duties: [{ step, event: id }], counts: ['failed'] })
  const delivered = (event: string): Duty[] => OUTPUTS.flatMap((step, bit) => (to & (1 << bit) ? [{ step, event }] : []))
  const routed = to === 0 ? 'unrouted' : 'routed'
  const parts = (sign: string) => Array.from({ length: PARTS }, (_, n) => `${id}${sign}${n + 1}`)
  const events = (ids: readonly string[]) =>
    ids.map((event): Unit => ({ event, key, duties: delivered(event), counts: [routed] }))
  switch (kind) {
    case 'garbage':
    case 'piece':
      return [letter(input)]
    case 'none':
    case 'early drop':
      return [{ event: id, key: undefined, duties: [], counts: ['dropped'] }]
    case 'early fail':
      return [letter('early')]
    case 'list':
      return events(parts('~'))
    case 'early split':
      return events(parts('#'))
    case 'late split':
      return [{ event: id, key, duties: parts('#').flatMap(delivered), counts: parts('#').map(() => routed) }]
    case 'late drop':
      return [{ event: id, key, duties: [], counts: ['dropped'] }]
    case 'late fail':
      return [{ event: id, key, duties: [{ step: 'late', event: id }], counts: ['failed'] }]
    default:
      return events([id])
  }
}

/** The record's own bytes. */
export function textOf({ kind, to, key, poison }: RecordSpec, id: string): string {
  if (kind === 'garbage' || kind === 'piece') return `${kind} ${id}`
  return JSON.stringify({ event: { id }, kind, a: (to & 1) > 0, b: (to & 2) > 0, key, poison })
}

/** The id of the record that an event was made of. */
export function recordOf(event: string): string {
  return event.split(/[~#]/, 1)[0] as string
}

/** The id in a record's bytes, also where they are garbage. */
export function idIn(text: string): string {
  return /in\d\/p\d\/\d+\/\d+/.exec(text)?.[0] ?? `? ${text}`
}

/** Codec: throws for garbage; lists and nothing are lists. */
export function decode(text: string): JsonObject | JsonObject[] {
  const fields = JSON.parse(text) as JsonObject & { event: { id: string } }
  if (fields['kind'] === 'none') return []
  if (fields['kind'] !== 'list') return fields
  return Array.from({ length: PARTS }, (_, n) => ({ ...fields, event: { id: `${fields.event.id}~${n + 1}` } }))
}

/** The fields of a split's parts: they have no id of their own. */
export function split({ event: _, ...fields }: JsonObject): JsonObject[] {
  return Array.from({ length: PARTS }, (_, part) => ({ ...fields, part }))
}

/** The chunk of these records, in memory of the pool: what is given back too early is overwritten by somebody else. */
export function chunkOf(records: readonly { readonly id: string; readonly spec: RecordSpec }[], rest: Partial<Chunk>): Chunk {
  const bytes = buffers.take()
  const ends: number[] = []
  const faults: Fault[] = []
  let used = 0
  for (const { id, spec } of records) {
    const text = textOf(spec, id)
    if (spec.kind === 'piece') {
      const piece = Buffer.from(text)
      faults.push({ reason: 'no record', code: 'PEN_PIECE', bytes: piece, offset: 0, length: piece.length })
      continue
    }
    used += bytes.write(`${text}\n`, used)
    ends.push(used - 1)
  }
  return { bytes, ends: Uint32Array.from(ends), ...(faults.length > 0 && { faults }), ...rest }
}

/** What a chunk of these records counts against the cap before it is transformed: all of it but the last newline. */
export function usedBytes(records: readonly { readonly id: string; readonly spec: RecordSpec }[]): number {
  let used = 0
  let whole = 0
  for (const { id, spec } of records) {
    const { length } = textOf(spec, id)
    used += length
    if (spec.kind !== 'piece') whole++
  }
  return used + Math.max(0, whole - 1)
}
