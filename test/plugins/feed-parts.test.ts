// Parts of o365_activity on their own, with a service that is made up on the spot: what a simulated tenant cannot be made to do at will.
import t from 'tap'
import { memoryStore } from '../../core/cli/memory-store.ts'
import { rowsIn } from '../../core/flow/rows.ts'
import type { Chunk, Clock, Log, Metrics } from '../../core/plugin/interfaces.ts'
import json from '../../plugins/codecs/json.ts'
import { BlobReading, type ReadingOptions } from '../../plugins/inputs/o365_activity/blob-reading.ts'
import { FeedClient } from '../../plugins/inputs/o365_activity/feed-client.ts'
import { Fetching } from '../../plugins/inputs/o365_activity/fetching.ts'
import { Ledger } from '../../plugins/inputs/o365_activity/ledger.ts'
import { blobOf, type Fate } from '../../plugins/inputs/o365_activity/ledger-rows.ts'
import { Listing } from '../../plugins/inputs/o365_activity/listing.ts'
import { Patience } from '../../plugins/inputs/o365_activity/patience.ts'
import { recordsOf } from '../../plugins/inputs/o365_activity/records-of.ts'
import { Subscriptions } from '../../plugins/inputs/o365_activity/subscriptions.ts'
import type { TenantSettings } from '../../plugins/inputs/o365_activity/tenant-settings.ts'
import { TenantState } from '../../plugins/inputs/o365_activity/tenant-state.ts'
import { HttpError, type HttpResponse } from '../../plugins/lib/http/client.ts'
import { Budget } from '../../plugins/lib/microsoft/service/budget.ts'
import { ServiceError } from '../../plugins/lib/microsoft/service/failure.ts'
import { virtualClock } from '../kit/virtual-clock.ts'

const TENANT = '11111111-1111-1111-1111-111111111111'
const HOUR_MS = 3_600_000
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }
const metrics = { count() {}, gauge() {} } as unknown as Metrics
const { signal } = new AbortController()
/** Time passes at once when somebody waits for it. */
const hasty = (clock: Clock): Clock => ({ ...clock, now: clock.now, monotonic: clock.monotonic, sleep: async () => {} })

const rowsOf = () => rowsIn(memoryStore(), 'p/s')

/** A reading of one blob whose bodies come one after the other; `broken` ends behind it with an error. */
function reading(bodies: readonly { readonly text: string; readonly broken?: boolean }[]) {
  const clock = virtualClock()
  const left = [...bodies]
  const records: string[] = []
  const letters: string[] = []
  const restarted: number[] = []
  let asked = 0
  let closed: Fate | undefined
  const options: ReadingOptions = {
    blob: blobOf('Audit.Exchange', { id: 'a', uri: 'https://x.example/a', created: 0, expires: clock.now() + 24 * HOUR_MS }),
    codec: json.create({ invalid_utf8: 'replace' } as never, {} as never),
    ...{ maxEventBytes: 1_000_000, meta: {}, resume: undefined, again: false, clock: hasty(clock), signal },
    now: () => clock.now(),
    async get() {
      asked++
      if (asked > 20) throw new Error('it was asked for more than twenty times')
      const { text, broken } = left.length > 1 ? left.shift()! : left[0]!
      async function* body() {
        yield Buffer.from(text)
        if (broken) throw new HttpError('PEN_CUT_OFF', 'the connection broke')
      }
      return { status: 200, headers: {}, body: body(), text: async () => text } as HttpResponse
    },
    async push(chunk: Chunk) {
      records.push(...recordsOf(chunk).map(record => (JSON.parse(record.toString()) as { Id: string }).Id))
      letters.push(...(chunk.faults ?? []).map(({ code }) => code))
    },
    examine: () => ({ ids: undefined, rows: [], sum: [0, 0] }),
    close(fate) {
      closed = fate
      return []
    },
    restarted: count => restarted.push(count),
  }
  return { run: () => new BlobReading(options).run(), records, letters, restarted, asked: () => asked, closed: () => closed }
}

t.test(
  'a body that broke goes on behind what was read, when it begins as before; else it is read from its beginning',
  async t => {
    const same = reading([
      { text: '[{"Id":"a"},\n{"Id":"b"},\n{"Id":"c', broken: true },
      { text: '[{"Id":"a"},\n{"Id":"b"},\n{"Id":"c"}]' },
    ])
    await same.run()
    t.same(same.records, ['a', 'b', 'c'])
    t.same(same.restarted, [])
    const other = reading([
      { text: '[{"Id":"a"},\n{"Id":"b"},\n{"Id":"c', broken: true },
      { text: '[{"Id":"x"},\n{"Id":"y"},\n{"Id":"z"}]' },
    ])
    await other.run()
    t.same(other.records.slice(-3), ['x', 'y', 'z'], 'nothing of the other body is passed over')
    t.equal(other.restarted.length, 1, 'and what comes again is counted')
  },
)

t.test('a blob that breaks each time is given up after three tries, and lies in the dead letters', async t => {
  const { run, asked, letters, closed } = reading([{ text: '[{"Id":"a', broken: true }])
  await run()
  t.equal(asked(), 3)
  t.same(letters, ['PEN_CONTENT_LOST'])
  t.ok('lost' in closed()!)
})

t.test('a cooldown is waited out before the next start', async t => {
  const clock = virtualClock()
  let starts = 0
  const client = {
    subscriptions: async () => [],
    async start() {
      if (++starts === 1) throw new ServiceError('cooldown', 'HTTP 400', 'wait', { after: 600_000 })
    },
  } as unknown as FeedClient
  const subscriptions = new Subscriptions({
    ...{ label: 't', contentTypes: ['DLP.All'], client, clock, log: quiet, webhook: undefined },
    async restarted() {},
  })
  t.same(await subscriptions.ready(signal), [])
  await clock.advance(599_000)
  t.same(await subscriptions.ready(signal), [])
  t.equal(starts, 1, 'the service is not asked before its time')
  await clock.advance(2_000)
  t.same(await subscriptions.ready(signal), ['DLP.All'])
  t.equal(starts, 2)
})

/** A client of a service that gives one answer to everything. */
function clientOf(answer: (url: URL) => { status?: number; headers?: Record<string, string>; text: string }) {
  const clock = virtualClock()
  return new FeedClient({
    ...{ tenantId: TENANT, publisher: TENANT, api: 'https://manage.office.com', clock, budget: new Budget(1e9, clock) },
    tokens: { get: async () => 'token', refuse() {}, renewed: () => false, certificateUntil: undefined },
    http: {
      async request(url: URL) {
        const { status = 200, headers = {}, text } = answer(url)
        async function* body() {
          yield Buffer.from(text)
        }
        return { status, headers, body: body(), text: async () => text }
      },
    } as never,
    foreign() {},
    throttled() {},
  })
}

t.test('a start that the service answers with AF20024 is one that succeeded', async t => {
  const text = '{"error":{"code":"AF20024","message":"The subscription is already enabled. No property change."}}'
  await t.resolves(clientOf(() => ({ status: 400, text })).start('DLP.All', undefined, signal))
})

/** Lists what `answer` gives, once; gives the requests and what the ledger learned. */
async function listed(answer: (url: URL) => { headers?: Record<string, string>; ids: readonly string[] }, rounds = 1) {
  const asked: URL[] = []
  const ledger = new Ledger(rowsOf(), TENANT)
  await ledger.load()
  const client = clientOf(url => {
    asked.push(url)
    const { headers, ids } = answer(url)
    const items = ids.map(id => ({
      ...{ contentId: id, contentUri: `https://manage.office.com/api/v1.0/${TENANT}/activity/feed/audit/${id}` },
      ...{ contentCreated: '2025-12-31T20:00:00Z', contentExpiration: '2026-01-07T20:00:00Z' },
    }))
    return { ...(headers && { headers }), text: JSON.stringify(items) }
  })
  const clock = virtualClock()
  const patience = new Patience({ label: 't', clock: hasty(clock), log: quiet, renewed: () => false, trouble() {} })
  const settings = {
    ...{ tenantId: TENANT, label: 't', contentTypes: ['DLP.All'], since: { ago: HOUR_MS }, until: undefined },
    ...{ overlapMs: HOUR_MS, sweepMs: 1e12 },
  } as unknown as TenantSettings
  const subscriptions = { ready: async () => ['DLP.All'] } as unknown as Subscriptions
  const listing = new Listing({
    ...{ settings, client, ledger, subscriptions, patience, clock, log: quiet, metrics },
    async push() {},
    behind() {},
    subscribed() {},
    until: () => undefined,
  })
  for (let round = 0; round < rounds; round++) await listing.round(signal)
  const known: string[] = []
  for (let blob = ledger.take(new Set()); blob; blob = ledger.take(new Set())) known.push(blob.id)
  return { asked, known: known.sort() }
}

t.test('every page of a listing is read, whatever the header is called; one that leads in a circle is listed again', async t => {
  for (const header of ['nextpageuri', 'nextpageurl']) {
    const { known } = await listed(url =>
      url.searchParams.has('nextPage') ? { ids: ['b'] } : { ids: ['a'], headers: { [header]: `${url}&nextPage=1` } },
    )
    t.same(known, ['a', 'b'], header)
  }
  let asked = 0
  let firsts = 0
  const { known } = await listed(url => {
    if (++asked > 200) throw new Error('it goes round for ever')
    const second = url.searchParams.has('nextPage')
    if (!second) firsts++
    // The second page leads to itself, until the window is listed again from its first page.
    const next = firsts === 1 ? { headers: { nextpageuri: second ? String(url) : `${url}&nextPage=1` } } : {}
    return { ids: [second ? 'b' : `a${firsts}`], ...next }
  })
  t.equal(asked, 3)
  t.same(known, ['a1', 'a2', 'b'])
})

t.test('a listing goes back over the overlap, and what it names again is no new content', async t => {
  const { asked, known } = await listed(() => ({ ids: ['a'] }), 2)
  const [first, second] = asked.map(({ searchParams }) => searchParams.get('startTime'))
  t.equal(first, '2025-12-31T23:00:00')
  t.equal(second, '2025-12-31T23:00:00', 'an hour before where the first one ended')
  t.same(known, ['a'])
})

t.test('what expires next is fetched first, of content types that are on; what was put back is fetched later', async t => {
  const ledger = new Ledger(rowsOf(), TENANT)
  await ledger.load()
  const item = (id: string, expires: number) => ({ id, uri: `https://x.example/${id}`, created: 1_000, expires })
  await ledger.listed('DLP.All', [item('late', 30_000), item('soon', 10_000)])
  await ledger.listed('Audit.General', [item('first', 5_000)])
  t.equal(ledger.take(new Set(['Audit.General']))?.id, 'soon')
  const first = ledger.take(new Set())
  t.equal(first?.id, 'first')
  ledger.putBack(first!)
  t.equal(ledger.take(new Set(['Audit.General']))?.id, 'late')
  t.equal(ledger.take(new Set(['Audit.General'])), undefined)
  t.equal(ledger.take(new Set())?.id, 'first')
})

t.test('a blob whose subscription is off waits, disturbs no other, and is fetched when it is on again', async t => {
  const clock = virtualClock()
  const rows = rowsOf()
  const state = new TenantState(rows, TENANT)
  await state.load()
  const item = (id: string) => ({ id, uri: `https://x.example/${id}`, created: clock.now(), expires: clock.now() + HOUR_MS })
  await state.ledger.listed('DLP.All', [item('off')])
  await state.ledger.listed('Audit.General', [item('on')])
  const lapsed: string[] = []
  const read: string[] = []
  let off = true
  const fetching = new Fetching({
    settings: {
      ...{ tenantId: TENANT, label: 't', contentTypes: ['DLP.All', 'Audit.General'] },
      ...{ parallel: 1, maxBlobBytes: 1e6, lookAgainMs: 0, keepMatchedValues: false },
    } as unknown as TenantSettings,
    client: {
      now: () => clock.now(),
      async content({ id }: { id: string }) {
        if (off && id === 'off') throw new ServiceError('subscription', 'AF20023', 'the subscription is disabled')
        async function* body() {
          yield Buffer.from(`[{"Id":"${id}"}]`)
        }
        return { status: 200, headers: {}, body: body() }
      },
    } as unknown as FeedClient,
    ...{ state, clock, log: quiet, metrics, maxEventBytes: 1e6, positions: { get: () => undefined } as never },
    patience: new Patience({ label: 't', clock: hasty(clock), log: quiet, renewed: () => false, trouble() {} }),
    codec: json.create({ invalid_utf8: 'replace' } as never, {} as never),
    async push(chunk) {
      if (chunk.last) {
        read.push(String(chunk.meta?.['content_id'] ?? chunk.partition?.split('/').at(-1)))
        state.settled(String(chunk.partition), true)
      }
    },
    lapsed: type => lapsed.push(type),
    isOver: () => true,
  })
  fetching.open = true
  const done = fetching.run(AbortSignal.timeout(5_000))
  await clock.settle()
  t.same(lapsed, ['DLP.All'])
  t.same(read, ['on'])
  off = false
  fetching.subscribed(['DLP.All', 'Audit.General'])
  await done
  t.same(read, ['on', 'off'])
})
