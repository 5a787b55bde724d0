// What the ecs filter makes of the many forms of one field, and what it does to an event beside its fields.
import t from 'tap'
import { ChunkEvent } from '../../core/flow/event.ts'
import type { Site } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import ecs from '../../plugins/filters/ecs/index.ts'
import { isoTime } from '../../plugins/filters/ecs/times.ts'
import { fieldPath } from '../../plugins/lib/field-path.ts'

const defaults = Object.fromEntries(Object.entries(ecs.options).map(([name, option]) => [name, option.default]))
const filter = (options: JsonObject = {}) => ecs.create({ ...defaults, ...options }, {} as Site)

function eventOf(record: JsonObject): ChunkEvent {
  const bytes = Buffer.from(JSON.stringify(record))
  return new ChunkEvent(JSON.parse(bytes.toString()), {}, bytes, 0, bytes.length)
}

function map(record: JsonObject): JsonObject {
  const event = eventOf({ CreationTime: '2026-05-01T09:12:33', Id: 'a1', Operation: 'Test', ...record })
  filter().apply?.(event)
  return event.fields
}

const at = (fields: JsonObject, path: string) => fieldPath(path).get(fields)

t.test('a user is split at the last @; what has none is an id only', t => {
  const forms: [unknown, unknown][] = [
    ['ana@contoso.example', { domain: 'contoso.example', email: 'ana@contoso.example', id: 'ana@contoso.example', name: 'ana' }],
    ['app@sharepoint', { domain: 'sharepoint', email: 'app@sharepoint', id: 'app@sharepoint', name: 'app' }],
    [
      'ana@home@contoso.example',
      { domain: 'contoso.example', email: 'ana@home@contoso.example', id: 'ana@home@contoso.example', name: 'ana@home' },
    ],
    ['NT AUTHORITY\\SYSTEM (w3wp)', { id: 'NT AUTHORITY\\SYSTEM (w3wp)' }],
    ['S-1-5-18', { id: 'S-1-5-18' }],
    ['Unknown', { id: 'Unknown' }],
    ['@contoso', { id: '@contoso' }],
    ['contoso@', { id: 'contoso@' }],
    [17, { id: '17' }],
    ['', undefined],
    [null, undefined],
    [{ odd: 1 }, undefined],
  ]
  for (const [UserId, user] of forms) t.strictSame(map({ UserId })['user'], user, String(UserId))
  t.end()
})

t.test('the result says success or failure; what says neither is unknown', t => {
  const forms: [unknown, string][] = [
    ['Success', 'success'],
    ['Succeeded', 'success'],
    ['Successful', 'success'],
    ['PartiallySucceeded', 'success'],
    ['InProgress', 'success'],
    ['True', 'success'],
    ['TRUE', 'success'],
    ['success', 'success'],
    [true, 'success'],
    ['', 'success'],
    [null, 'success'],
    ['Failed', 'failure'],
    ['failed', 'failure'],
    ['FAILED', 'failure'],
    ['fAiLeD', 'failure'],
    ['Failure', 'failure'],
    ['False', 'failure'],
    [false, 'failure'],
    ['Maybe', 'unknown'],
    [0, 'unknown'],
  ]
  for (const [ResultStatus, outcome] of forms) t.equal(at(map({ ResultStatus }), 'event.outcome'), outcome, String(ResultStatus))
  t.equal(at(map({}), 'event.outcome'), 'success', 'absent')
  t.end()
})

t.test('the record type is a number, a number as text, or a name; Microsoft’s disputed numbers have no name', t => {
  const forms: [unknown, string | undefined, unknown][] = [
    [22, 'Yammer', '22'],
    ['22', 'Yammer', '22'],
    ['ExchangeAdmin', 'ExchangeAdmin', 'ExchangeAdmin'],
    ['exchangeItem', 'ExchangeItem', 'exchangeItem'],
    [44, 'WorkplaceAnalytics', '44'],
    [79, undefined, '79'],
    [366, undefined, '366'],
    [9001, undefined, '9001'],
    [-1, undefined, '-1'],
    [1.5, undefined, '1.5'],
    ['NewType', 'NewType', 'NewType'],
    ['', undefined, ''],
    [null, undefined, null],
  ]
  for (const [RecordType, code, kept] of forms) {
    const fields = map({ RecordType })
    t.equal(at(fields, 'event.code'), code, `code of ${RecordType}`)
    t.equal(at(fields, 'o365.audit.RecordType'), kept, `what stays of ${RecordType}`)
  }
  t.strictSame(
    at(map({ RecordType: '15' }), 'event.category'),
    ['web', 'authentication'],
    'the rules of a type hold for its number as text',
  )
  t.end()
})

t.test('operations on files are accesses, changes, creations and deletions; all others are of no type', t => {
  const forms: Record<string, string[]> = {
    access: ['FileAccessed', 'FileDownloaded', 'FilePreviewed'],
    change: ['FileModified', 'FileMoved', 'FileRenamed', 'FolderRestored'],
    creation: ['FileUploaded', 'FileCopied', 'FolderCreated'],
    deletion: ['FileDeleted', 'FileRecycled', 'FolderDeletedFirstStageRecycleBin'],
  }
  for (const [type, operations] of Object.entries(forms)) {
    for (const Operation of operations) {
      const fields = map({ RecordType: 6, Operation })
      t.strictSame(at(fields, 'event.type'), ['info', type], Operation)
      t.strictSame(at(fields, 'event.category'), ['web', 'file'], Operation)
      t.equal(at(fields, 'event.action'), Operation)
    }
  }
  t.strictSame(at(map({ RecordType: 6, Operation: 'FileMalwareDetected' }), 'event.type'), ['info'])
  t.strictSame(at(map({ RecordType: 6, Operation: 'FileMalwareDetected' }), 'event.category'), ['web', 'file'])
  t.strictSame(at(map({ RecordType: 14, Operation: 'FileAccessed' }), 'event.type'), ['info'], 'sharing')
  t.end()
})

t.test('a size is a whole number, however it is written', t => {
  const forms: [unknown, number | undefined][] = [
    [1e9, 1e9],
    [1000.7, 1000],
    ['1000.0', 1000],
    ['1e3', 1000],
    ['', undefined],
    ['large', undefined],
    ['1e400', undefined],
    [null, undefined],
  ]
  for (const [FileSize, size] of forms) t.equal(at(map({ FileSize }), 'file.size'), size, String(FileSize))
  t.end()
})

t.test('times of all forms become ISO 8601 in UTC; days that do not exist become none', t => {
  const forms: [unknown, string | undefined][] = [
    ['2026-05-01T09:12:33', '2026-05-01T09:12:33.000Z'],
    ['2024-02-29T23:59:59', '2024-02-29T23:59:59.000Z'],
    ['2026-05-01T09:12:33Z', '2026-05-01T09:12:33.000Z'],
    ['2026-05-01T09:12:33.9999999Z', '2026-05-01T09:12:33.999Z'],
    ['2026-05-01T09:12:33.5', '2026-05-01T09:12:33.500Z'],
    ['2026-05-01T09:12:33+02:00', '2026-05-01T07:12:33.000Z'],
    ['2026-05-01T09:12:33-0330', '2026-05-01T12:42:33.000Z'],
    ['2026-05-01 09:12:33', '2026-05-01T09:12:33.000Z'],
    [' 2026-05-01T09:12:33\r\n', '2026-05-01T09:12:33.000Z'],
    ['/Date(1777626753123)/', '2026-05-01T09:12:33.123Z'],
    ['/Date(1777626753123+0200)/', '2026-05-01T09:12:33.123Z'],
    ['5/1/2026 9:12:33 AM', '2026-05-01T09:12:33.000Z'],
    ['5/1/2026 12:12:33 AM', '2026-05-01T00:12:33.000Z'],
    ['5/1/2026, 12:12 pm', '2026-05-01T12:12:00.000Z'],
    ['05/01/2026 21:12:33', '2026-05-01T21:12:33.000Z'],
    ['31/12/2026 09:12:33', '2026-12-31T09:12:33.000Z'],
    ['2026-02-29T09:12:33', undefined],
    ['2026-02-30T09:12:33Z', undefined],
    ['2026-13-01T09:12:33', undefined],
    ['2026-05-01T24:00:00', '2026-05-02T00:00:00.000Z'],
    ['2026-05-01T09:60:33', undefined],
    ['2026-05-01x09:12:33', undefined],
    ['0001-01-01T00:00:00', undefined],
    ['13/13/2026 09:12:33', undefined],
    ['2/29/2026 9:12:33 AM', undefined],
    ['5/1/2026 13:12:33 PM', undefined],
    ['yesterday', undefined],
    ['', undefined],
    [1777626753123, undefined],
    [null, undefined],
  ]
  for (const [text, time] of forms) t.equal(isoTime(text), time, String(text))
  // The day is remembered from record to record.
  t.equal(isoTime('2026-05-01T09:12:34'), '2026-05-01T09:12:34.000Z')
  t.equal(isoTime('2026-05-01T09:1a:34'), undefined)
  t.equal(isoTime('2026-05-02T00:00:00'), '2026-05-02T00:00:00.000Z')
  t.end()
})

t.test('what a DLP rule matched is gone from the source bytes too', t => {
  const secret = '4111 1111 1111 1111'
  const record = {
    Operation: 'DlpRuleMatch',
    Nested: {
      SensitiveInformationDetections: { DetectedValues: [{ Name: secret, Value: `card ${secret}` }], ResultsTruncated: false },
    },
    Data: JSON.stringify({ DetectedValues: [secret], kept: 1 }),
  }
  const event = eventOf(record)
  const { id } = event
  filter().apply?.(event)
  t.notOk(Buffer.from(event.original).includes(secret), 'bytes')
  t.notOk(JSON.stringify(event.fields).includes(secret), 'fields')
  t.strictSame(JSON.parse(Buffer.from(event.original).toString()), {
    Operation: 'DlpRuleMatch',
    Nested: { SensitiveInformationDetections: { ResultsTruncated: false } },
    Data: '{"kept":1}',
  })
  t.not(event.id, id, 'an id made of the bytes is made of those that are kept')

  const again = eventOf(JSON.parse(Buffer.from(event.original).toString()))
  filter().apply?.(again)
  t.equal(again.id, event.id, 'a replayed dead letter has the id of the first time')

  const untouched = eventOf({ Operation: 'Test', Subject: 'DetectedValues' })
  const before = untouched.original
  filter().apply?.(untouched)
  t.strictSame(untouched.original, before, 'nothing to remove, nothing changed')

  const kept = eventOf(record)
  filter({ keep_matched_values: true }).apply?.(kept)
  t.ok(Buffer.from(kept.original).includes(secret), 'kept when asked for')
  t.end()
})

t.test('a record that is not recognised holds no matched values in the dead letters either', t => {
  const event = eventOf({ something: { DetectedValues: ['4111'] } })
  t.throws(() => filter().apply?.(event), { code: 'PEN_UNKNOWN_RECORD' })
  t.equal(Buffer.from(event.original).toString(), '{"something":{}}')
  t.end()
})

t.test('matched values nested too deeply to be taken out go with the whole record', t => {
  const deep = `${'{"a":'.repeat(200_000)}{"DetectedValues":["4111"]}${'}'.repeat(200_000)}`
  const bytes = Buffer.from(`{"Operation":"Test","x":${deep}}`)
  const event = new ChunkEvent(JSON.parse(bytes.toString()), {}, bytes, 0, bytes.length)
  t.throws(() => filter().apply?.(event), { message: /nested too deeply/ })
  t.notOk(Buffer.from(event.original).includes('4111'))
  t.end()
})

t.test('in one of many records of a long source, matched values are found in the record itself', t => {
  const bytes = Buffer.from(`[${'"x",'.repeat(40_000)}{"DetectedValues":["4111"]}]`)
  const event = new ChunkEvent({ Operation: 'Test', a: { DetectedValues: ['4111'] } }, {}, bytes, 0, bytes.length)
  filter().apply?.(event)
  t.strictSame(at(event.fields, 'o365.audit.a'), {})
  t.equal(Buffer.from(event.original).toString(), '{"Operation":"Test","a":{}}')
  t.end()
})

t.test('the id of a document is the record’s, or made of its bytes, the same each time', t => {
  const ids = [1, 2].map(() => {
    const event = eventOf({ Operation: 'Test', CreationTime: '2026-05-01T09:12:33' })
    filter().apply?.(event)
    t.equal(at(event.fields, 'event.id'), event.id)
    return event.id
  })
  t.equal(ids[0], ids[1])
  t.match(ids[0], /^[0-9a-f]{32}$/)
  t.equal(at(map({ Id: 'b2' }), 'event.id'), 'b2')
  t.end()
})

t.test('lists of a document are its own: changing one changes no other document', t => {
  const one = map({ RecordType: 6, Operation: 'FileAccessed' })
  ;(at(one, 'event.category') as string[]).push('changed')
  ;(at(one, 'event.type') as string[]).push('changed')
  const other = map({ RecordType: 6, Operation: 'FileAccessed' })
  t.strictSame(at(other, 'event.category'), ['web', 'file'])
  t.strictSame(at(other, 'event.type'), ['info', 'access'])
  t.end()
})
