// Writes the samples of the quick start again, from a seed: `node pipelines/samples/compose.ts`. No record is about anybody.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { JsonObject } from '../../core/plugin/json.ts'
import {
  exportCsv,
  MESSAGE_TRACE_HEADER,
  PURVIEW_HEADER,
  powerShellTime,
  purviewRow,
} from '../../plugins/lib/microsoft/tenant/exports.ts'
import { makeRecord } from '../../plugins/lib/microsoft/tenant/feed.ts'
import { intrusion } from '../../plugins/lib/microsoft/tenant/intrusion.ts'
import { hostileAddress, NOWHERE } from '../../plugins/lib/microsoft/tenant/networks.ts'
import { ADDRESS_FORMS, QUIRKS } from '../../plugins/lib/microsoft/tenant/quirks.ts'
import { dlpMailRecord } from '../../plugins/lib/microsoft/tenant/records/dlp.ts'
import { type Mail, mail, traceRows } from '../../plugins/lib/microsoft/tenant/records/mail.ts'
import { riskOf, riskRecord } from '../../plugins/lib/microsoft/tenant/records/risk.ts'
import { SUCCESS, signIn, signInRecord } from '../../plugins/lib/microsoft/tenant/records/sign-in.ts'
import { click, clickRecord, mailThreatRecord, quarantineRecord } from '../../plugins/lib/microsoft/tenant/records/threat.ts'
import { makeWorld, SAMPLE_START, type Scene } from '../../plugins/lib/microsoft/tenant/world.ts'

export interface SampleFile {
  /** Below this folder. */
  readonly path: string
  readonly text: string
}

/** Records of one kind lie in a stream of their own, from this number on. */
const FIRST_STREAM = 32
/** Indices of the working week that the samples are of: Monday to Friday of 120 people. */
const WEEK = 54_000

/** File → record type → how many. */
const AUDIT: Readonly<Record<string, Readonly<Record<number, number>>>> = {
  'audit/entra.ndjson': { 15: 410, 8: 90 },
  'audit/exchange.ndjson': { 1: 90, 2: 140, 3: 40, 50: 170 },
  'audit/sharepoint.ndjson.gz': { 6: 400, 14: 60, 4: 45, 36: 25 },
  'audit/general.ndjson': { 25: 130, 40: 24, 22: 20, 261: 36, 18: 12, 24: 8, 20: 16, 47: 6, 52: 10, 9001: 5 },
  'audit/dlp.ndjson': { 11: 24 },
  'feed/audit-exchange.json': { 1: 10, 2: 25, 50: 25 },
}
/** Where the records of the break-in belong. */
const HOME: Readonly<Record<number, string>> = {
  1: 'audit/exchange.ndjson',
  6: 'audit/sharepoint.ndjson.gz',
  15: 'audit/entra.ndjson',
  40: 'audit/general.ndjson',
  294: 'audit/entra.ndjson',
}

/** All samples. The same bytes wherever it runs. */
export function composeSamples(): SampleFile[] {
  const world = makeWorld({ seed: 2026, tenants: 2, users: 60, start: SAMPLE_START })
  let stream = FIRST_STREAM
  /** `count` scenes of a new stream, spread over the week. */
  const scenes = (count: number): Scene[] => {
    const own = stream++
    return Array.from({ length: count }, (_, place) => world.scene(own, Math.floor(((place + 0.5) / count) * WEEK)))
  }
  const files = new Map<string, JsonObject[]>()
  const into = (path: string, ...records: JsonObject[]) => {
    const list = files.get(path) ?? []
    files.set(path, list)
    list.push(...records)
  }

  for (const [path, types] of Object.entries(AUDIT)) {
    for (const [type, count] of Object.entries(types)) into(path, ...scenes(count).map(scene => makeRecord(Number(type), scene)))
  }
  const ids = scenes(60)
  const nextId = () => (ids.pop() as Scene).id
  for (const scene of scenes(10)) {
    const fact = signIn({ ...scene, address: hostileAddress(scene.draw), place: NOWHERE }, { outcome: SUCCESS, risk: 'medium' })
    into('audit/entra.ndjson', signInRecord(fact), riskRecord(riskOf(fact), nextId()))
  }
  const junk = scenes(42).map(scene => mail(scene, { junk: true }))
  for (const message of junk.slice(0, 30)) {
    into(
      'audit/general.ndjson',
      mailThreatRecord(message),
      clickRecord(click({ ...message, scene: { ...message.scene, id: nextId() } })),
    )
  }
  into('audit/general.ndjson', ...junk.slice(30).map(quarantineRecord))
  const matched = scenes(20).map(scene => mail(scene, { junk: false }))
  into('audit/dlp.ndjson', ...matched.map(dlpMailRecord))
  for (const record of intrusion(world, {
    tenant: 0,
    victim: 1,
    time: SAMPLE_START + 2 * 86_400_000 + 7_200_000,
    address: '192.0.2.240',
    tried: 24,
    files: 40,
  })) {
    into(HOME[record['RecordType'] as number] as string, record)
  }
  for (const records of files.values()) records.sort(byArrival)

  const traced = [...scenes(110).map(scene => mail(scene)), ...junk, ...matched].sort(
    (one, other) => one.scene.time - other.scene.time,
  )
  const exported = scenes(80).map(scene => mail(scene))
  const search = [
    ...scenes(15).map(scene => makeRecord(15, scene)),
    ...scenes(15).map(scene => makeRecord(6, scene)),
    ...scenes(10).map(scene => makeRecord(1, scene)),
  ]

  const of = (path: string): JsonObject[] => files.get(path) as JsonObject[]
  const entra = of('audit/entra.ndjson')
  const sharePoint = of('audit/sharepoint.ndjson.gz')
  const exchange = of('audit/exchange.ndjson')
  const late = [...entra.slice(100, 120), ...exchange.slice(200, 210), ...sharePoint.slice(300, 310)]
  const reworded = [...entra.slice(200, 205), ...exchange.slice(30, 35)].map(reword)
  return [
    ...['audit/entra.ndjson', 'audit/exchange.ndjson', 'audit/general.ndjson', 'audit/dlp.ndjson'].map(path => ({
      path,
      text: lines(of(path)),
    })),
    // Twelve records twice, a few lines apart: content that was fetched twice.
    { path: 'audit/sharepoint.ndjson.gz', text: lines([...sharePoint.slice(0, 62), ...sharePoint.slice(50)]) },
    { path: 'audit/odd-forms.ndjson', text: lines(oddForms(scenes)) },
    // What came before comes again, byte for byte or in other words, and the last line is cut off as by a full disk.
    { path: 'audit/late.ndjson', text: lines([...late, ...reworded]) + torn(makeRecord(25, scenes(1)[0] as Scene)) },
    // One blob of the Management Activity API: one array, of which six records came another way as well.
    { path: 'feed/audit-exchange.json', text: JSON.stringify([...of('feed/audit-exchange.json'), ...exchange.slice(0, 6)]) },
    { path: 'trace/message-trace.json', text: tracePage(traced) },
    { path: 'exports/message-trace.csv', text: traceCsv([...exported, ...traced.slice(-15)]) },
    { path: 'exports/audit-search.csv', text: exportCsv(PURVIEW_HEADER, [...search, ...entra.slice(300, 315)].map(purviewRow)) },
  ]
}

function byArrival(one: JsonObject, other: JsonObject): number {
  const [a, b] = [String(one['CreationTime']).slice(0, 16), String(other['CreationTime']).slice(0, 16)]
  return a < b ? -1 : a > b ? 1 : 0
}

function lines(records: readonly JsonObject[]): string {
  return records.map(record => `${JSON.stringify(record)}\n`).join('')
}

/** The same record with its keys in another order, and one more: only its id says that it is the same. */
function reword(record: JsonObject): JsonObject {
  return Object.fromEntries([['Scope', 0], ...Object.entries(record).reverse()])
}

function torn(record: JsonObject): string {
  const text = JSON.stringify(record)
  return text.slice(0, text.length >> 1)
}

/** Every ugly form once, and every form of an address in each field that has addresses. */
function oddForms(scenes: (count: number) => Scene[]): JsonObject[] {
  const forms = Object.values(ADDRESS_FORMS)
  const address = (index: number) => {
    const form = forms[index] as (typeof forms)[number]
    return form(`192.0.2.${10 + index}`, `2001:db8::${(10 + index).toString(16)}`, 49_152 + index)
  }
  return [
    ...scenes(QUIRKS.length).map((scene, index) => {
      const quirk = QUIRKS[index] as (typeof QUIRKS)[number]
      return quirk.apply(makeRecord(quirk.type, scene))
    }),
    ...scenes(forms.length).map((scene, index) => ({ ...makeRecord(6, scene), ClientIP: address(index) })),
    ...scenes(forms.length).map((scene, index) => ({ ...makeRecord(2, scene), ClientIPAddress: address(index) })),
    ...scenes(forms.length).map((scene, index) => ({ ...makeRecord(8, scene), ActorIpAddress: address(index) })),
  ]
}

/** A page as the Reporting Web Service answers it; seven rows come twice, under another index. */
function tracePage(messages: readonly Mail[]): string {
  const rows: JsonObject[] = []
  for (const message of messages) rows.push(...traceRows(message, rows.length))
  for (const row of rows.slice(20, 27)) rows.push({ ...row, Index: rows.length })
  return JSON.stringify(
    {
      'odata.metadata': 'https://reports.office365.com/ecp/reportingwebservice/reporting.svc/$metadata#MessageTrace',
      value: rows,
    },
    null,
    1,
  )
}

/** Rows as Get-MessageTrace | Export-Csv writes them: times in the manner of the United States, in UTC. */
function traceCsv(messages: readonly Mail[]): string {
  const rows: JsonObject[] = []
  for (const message of messages) {
    for (const row of traceRows(message, rows.length)) {
      rows.push({
        ...row,
        Received: powerShellTime(message.scene.time),
        StartDate: '5/4/2026 12:00:00 AM',
        EndDate: '5/9/2026 12:00:00 AM',
      })
    }
  }
  return exportCsv(MESSAGE_TRACE_HEADER, rows)
}

/** A file's bytes; how well they are compressed depends on the machine, so that comparisons are of the text. */
export function readSample(path: string): string {
  const bytes = readFileSync(join(import.meta.dirname, path))
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
}

/** Writes the file unless it holds this text already. */
function write({ path, text }: SampleFile): void {
  const file = join(import.meta.dirname, path)
  if (existsSync(file) && readSample(path) === text) return
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, path.endsWith('.gz') ? gzipSync(text, { level: 9 }) : text)
}

if (import.meta.main) for (const file of composeSamples()) write(file)
