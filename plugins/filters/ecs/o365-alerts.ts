// Alerts of Purview and Defender for Office 365 (record type 40).
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { addNew, given, objects, text } from './draft.ts'
import { gone, leaves, type Move, parsed } from './o365-keep.ts'
import type { Kind } from './o365-kinds.ts'
import { isoTime } from './times.ts'

/** Keys of `Data` that have been seen: they get fields of their own. Nobody publishes what they mean. */
const KNOWN = new Set(
  'ad an at cid eid etype f3u imsgid lon md ms op reid rid sev suid tdc te tid trc ts tsd ttdt ut wl'.split(' '),
)
const TIMES = new Set(['at', 'md', 'te', 'ts', 'ttdt'])

function readData(value: unknown): JsonObject | undefined {
  const data = typeof value === 'string' ? parsed(value) : value
  return isObject(data) ? data : undefined
}

/** All of `Data` below `flattened`, which an index takes as one field however many keys there are; the known keys beside it. */
const data: Move = (audit, value) => {
  const whole = readData(value)
  if (!whole) {
    if (value !== null && value !== '')
      audit['Data'] = { flattened: { _raw: typeof value === 'string' ? value : JSON.stringify(value) } }
    return
  }
  const fields: JsonObject = { flattened: whole }
  for (const key of Object.keys(whole)) {
    if (!KNOWN.has(key)) continue
    const time = TIMES.has(key) ? isoTime(whole[key]) : undefined
    // A text that is no time would make an index that expects one refuse the document.
    if (time !== undefined || !TIMES.has(key)) fields[key] = time ?? whole[key]
  }
  audit['Data'] = fields
}

export const alert: Kind = {
  kind: 'alert',
  moves: {
    AlertEntityId: leaves,
    AlertLinks: gone,
    Category: leaves,
    Comments: leaves,
    Data: data,
    EntityType: leaves,
    Name: leaves,
    PolicyId: leaves,
  },
  fill(record, { doc, users }) {
    const reference = objects(record['AlertLinks']).flatMap(link => text(link['AlertLinkHref']) ?? [])
    const rule = given({
      category: text(record['Category']),
      description: text(record['AlertEntityId']),
      id: text(record['PolicyId']),
      name: text(record['Name']),
      reference: reference.length > 0 ? reference : undefined,
      ruleset: text(record['EntityType']),
    })
    if (rule) doc['rule'] = rule
    const message = text(record['Comments'])
    if (message !== undefined) doc['message'] = message
    const about = readData(record['Data'])
    addNew(users, text(about?.['f3u']))
    addNew(users, text(about?.['suid']))
  },
}
