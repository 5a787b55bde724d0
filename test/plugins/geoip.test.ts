// geoip and the table mmdb: every form of database, damaged ones, and what the real fixtures expect.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { Event, Site, Table, TableHandle } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import geoip from '../../plugins/filters/geoip/index.ts'
import mmdbTable from '../../plugins/tables/mmdb.ts'
import { mmdb } from './mmdb-writer.ts'

const { signal } = new AbortController()
const noSite = {} as Site
const PROPERTIES = geoip.options['properties']?.default

/** The filter with its tables, which `reload` loads again. */
async function filterWith(options: JsonObject) {
  const reloads: (() => Promise<void>)[] = []
  const site = {
    table(source: { options: JsonObject }) {
      const table = mmdbTable.create(source.options, noSite) as Table
      let view: TableHandle | undefined
      reloads.push(async () => {
        view = table.view(await table.load?.(signal))
      })
      return { lookup: (key: string) => view?.lookup(key) }
    },
  } as unknown as Site
  const filter = geoip.create({ fields: ['source.ip'], properties: PROPERTIES, private_addresses: false, ...options }, site)
  const reload = async () => {
    for (const load of reloads) await load()
  }
  await reload()
  const run = filter.apply as (event: Event) => Event
  return { apply: (fields: JsonObject) => run({ fields } as unknown as Event).fields, reload }
}

const city = (name: string, more: JsonObject = {}) => ({
  city: { names: { en: name, de: `${name}stadt` } },
  continent: { code: 'EU', names: { en: 'Europe' } },
  country: { iso_code: 'GB', names: { en: 'United Kingdom' } },
  location: { latitude: 51.5, longitude: -0.25, time_zone: 'Europe/London' },
  postal: { code: 'OX1' },
  subdivisions: [
    { iso_code: 'ENG', names: { en: 'England' } },
    { iso_code: 'WBK', names: { en: 'West Berkshire' } },
  ],
  ...more,
})
const cityGeo = (name: string) => ({
  city_name: name,
  continent_name: 'Europe',
  country_iso_code: 'GB',
  country_name: 'United Kingdom',
  location: { lat: 51.5, lon: -0.25 },
  region_iso_code: 'GB-WBK',
  region_name: 'West Berkshire',
})

function folderOf(t: Test, databases: Record<string, Buffer>): (name: string) => string {
  const folder = t.testdir()
  for (const [name, bytes] of Object.entries(databases)) writeFileSync(join(folder, name), bytes)
  return name => join(folder, name)
}

for (const recordSize of [24, 28, 32] as const) {
  for (const ipVersion of [4, 6] as const) {
    t.test(`records of ${recordSize} bits in a tree of IPv${ipVersion} are read`, async t => {
      const networks = {
        '81.2.69.0/24': city('London'),
        '42.2.0.0/16': city('Hong'),
        ...(ipVersion === 6 && { '2a02::/16': city('Oslo') }),
      }
      const path = folderOf(t, { 'a.mmdb': mmdb(networks, { ipVersion, recordSize }) })
      const { apply } = await filterWith({ databases: [path('a.mmdb')] })
      t.same(apply({ source: { ip: '81.2.69.1' } }), { source: { ip: '81.2.69.1', geo: cityGeo('London') } })
      t.same(apply({ source: { ip: '::ffff:81.2.69.1' } }), { source: { ip: '::ffff:81.2.69.1', geo: cityGeo('London') } })
      t.same(apply({ source: { ip: '81.2.70.1' } }), { source: { ip: '81.2.70.1' } })
      // Its first 32 bits are those of 42.2.0.1.
      const v6 = apply({ source: { ip: '2a02:1::' } })
      t.same(v6, ipVersion === 6 ? { source: { ip: '2a02:1::', geo: cityGeo('Oslo') } } : { source: { ip: '2a02:1::' } })
    })
  }
}

for (const recordSize of [28, 32] as const) {
  t.test(`records of ${recordSize} bits lead to what lies behind 16 MiB`, async t => {
    const networks = { '2.0.0.0/8': { country_code: 'SE' }, '5.0.0.0/8': { country_code: 'NO' } }
    const path = folderOf(t, { 'a.mmdb': mmdb(networks, { ipVersion: 4, recordSize, gapBytes: 2 ** 24 }) })
    const { apply } = await filterWith({ databases: [path('a.mmdb')], properties: ['country_iso_code'] })
    t.same(apply({ source: { ip: '2.0.0.1' } })['source'], { ip: '2.0.0.1', geo: { country_iso_code: 'SE' } })
    t.same(apply({ source: { ip: '5.0.0.1' } })['source'], { ip: '5.0.0.1', geo: { country_iso_code: 'NO' } })
  })
}

t.test('all properties of a City database', async t => {
  const path = folderOf(t, { 'a.mmdb': mmdb({ '81.2.69.0/24': city('London') }) })
  const { apply } = await filterWith({ databases: [path('a.mmdb')], properties: ['continent_code', 'postal_code', 'timezone'] })
  t.same(apply({ source: { ip: '81.2.69.1' } })['source'], {
    ip: '81.2.69.1',
    geo: { continent_code: 'EU', postal_code: 'OX1', timezone: 'Europe/London' },
  })
})

const shapes: Record<string, { record: JsonObject; geo?: JsonObject; as?: JsonObject }> = {
  'GeoLite2-ASN': {
    record: { autonomous_system_number: 29518, autonomous_system_organization: 'Bredband2 AB' },
    as: { number: 29518, organization: { name: 'Bredband2 AB' } },
  },
  'an ASN without an organization': { record: { autonomous_system_number: 209 }, as: { number: 209 } },
  'GeoIP2-Enterprise': {
    record: { country: { iso_code: 'SE' }, traits: { autonomous_system_number: 1, autonomous_system_organization: 'A' } },
    geo: { country_iso_code: 'SE' },
    as: { number: 1, organization: { name: 'A' } },
  },
  'ip-location-db city': {
    record: {
      country_code: 'SE',
      city: 'Malmö',
      state1: 'Skåne',
      latitude: 55.5,
      longitude: 13,
      postcode: '211',
      timezone: 'Europe/Stockholm',
    },
    geo: {
      city_name: 'Malmö',
      country_iso_code: 'SE',
      country_name: 'Sweden',
      location: { lat: 55.5, lon: 13 },
      region_name: 'Skåne',
    },
  },
  'IPinfo country and ASN': {
    record: {
      country: 'NO',
      country_name: 'Norway',
      continent: 'EU',
      continent_name: 'Europe',
      asn: 'AS2119',
      as_name: 'Telenor',
    },
    geo: { continent_name: 'Europe', country_iso_code: 'NO', country_name: 'Norway' },
    as: { number: 2119, organization: { name: 'Telenor' } },
  },
  'IPinfo lite': {
    record: {
      country: 'Norway',
      country_code: 'NO',
      continent: 'Europe',
      continent_code: 'EU',
      asn: 'AS2119',
      as_name: 'Telenor',
    },
    geo: { continent_name: 'Europe', country_iso_code: 'NO', country_name: 'Norway' },
    as: { number: 2119, organization: { name: 'Telenor' } },
  },
  'IPinfo location': {
    record: { country: 'NO', city: 'Oslo', region: 'Oslo', region_code: '03', lat: '59.9', lng: '10.75' },
    geo: {
      city_name: 'Oslo',
      country_iso_code: 'NO',
      country_name: 'Norway',
      location: { lat: 59.9, lon: 10.75 },
      region_iso_code: 'NO-03',
      region_name: 'Oslo',
    },
  },
  'values of the wrong kind': {
    record: { country: { iso_code: 7, names: 'x' }, location: { latitude: 1 }, subdivisions: 'y', asn: 'ASx' },
  },
  'something else': { record: { is_anonymous: true } },
}
for (const [name, { record, geo, as }] of Object.entries(shapes)) {
  t.test(`${name} under the names of ECS`, async t => {
    const path = folderOf(t, { 'a.mmdb': mmdb({ '81.2.0.0/16': record }) })
    const { apply } = await filterWith({ databases: [path('a.mmdb')] })
    t.strictSame(apply({ source: { ip: '81.2.69.1' } })['source'], { ip: '81.2.69.1', ...(geo && { geo }), ...(as && { as }) })
  })
}

t.test('several databases: the first one counts, the others fill in, and countries are not mixed', async t => {
  const path = folderOf(t, {
    'city.mmdb': mmdb({ '81.2.0.0/16': { city: { names: { en: 'London' } }, country: { iso_code: 'GB' } } }),
    'asn.mmdb': mmdb({ '81.2.0.0/15': { autonomous_system_number: 1 } }),
    'country.mmdb': mmdb({
      '81.2.0.0/17': { country_code: 'GB', city: 'Leeds' },
      '81.2.128.0/17': { country_code: 'FR' },
      '81.3.0.0/16': { country_code: 'DE' },
    }),
  })
  const { apply } = await filterWith({ databases: [path('city.mmdb'), path('asn.mmdb'), path('country.mmdb')] })
  const place = (ip: string) => apply({ source: { ip } })['source']
  const as = { number: 1 }
  t.strictSame(place('81.2.0.1'), {
    ip: '81.2.0.1',
    geo: { country_iso_code: 'GB', country_name: 'United Kingdom', city_name: 'London' },
    as,
  })
  t.strictSame(place('81.2.200.1'), { ip: '81.2.200.1', geo: { city_name: 'London', country_iso_code: 'GB' }, as })
  t.strictSame(place('81.3.0.1'), { ip: '81.3.0.1', geo: { country_iso_code: 'DE', country_name: 'Germany' }, as })
})

t.test('what a later filter changes does not show in the next event', async t => {
  const path = folderOf(t, {
    'a.mmdb': mmdb({
      '81.2.0.0/16': city('London', { traits: { autonomous_system_number: 1, autonomous_system_organization: 'A' } }),
    }),
  })
  const { apply } = await filterWith({ databases: [path('a.mmdb')] })
  const first = apply({ source: { ip: '81.2.69.1' } }) as {
    source: { geo: { location: JsonObject; x?: number }; as: { organization: JsonObject } }
  }
  first.source.geo.x = 1
  first.source.geo.location['lat'] = 0
  first.source.as.organization['name'] = 'B'
  t.same(apply({ source: { ip: '81.2.69.1' } })['source'], {
    ip: '81.2.69.1',
    geo: cityGeo('London'),
    as: { number: 1, organization: { name: 'A' } },
  })
})

t.test('a new image is used at once, also for an address that was looked up before', async t => {
  const path = folderOf(t, { 'a.mmdb': mmdb({ '81.2.0.0/16': { country_code: 'GB' } }) })
  const { apply, reload } = await filterWith({ databases: [path('a.mmdb')] })
  const code = () =>
    (apply({ source: { ip: '81.2.69.1' } })['source'] as { geo: { country_iso_code: string } }).geo.country_iso_code
  t.equal(code(), 'GB')
  writeFileSync(path('a.mmdb'), mmdb({ '81.2.0.0/16': { country_code: 'SE' } }))
  await reload()
  t.equal(code(), 'SE')
})

t.test('private addresses are looked up only when that is asked for', async t => {
  const addresses = [
    '10.1.1.1',
    '192.168.1.1',
    '172.16.0.1',
    '172.31.0.1',
    '127.0.0.1',
    '169.254.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '255.255.255.255',
    'fd00::1',
    'fe80::1',
    '::1',
    '::ffff:10.1.1.1',
  ]
  const all = Object.fromEntries(['0.0.0.0/1', '128.0.0.0/1', 'f000::/4'].map(network => [network, { country_code: 'GB' }]))
  // A tree of IPv6 has ::1 among the IPv4 addresses, as 0.0.0.1.
  const path = folderOf(t, { 'a.mmdb': mmdb(all) })
  const without = await filterWith({ databases: [path('a.mmdb')] })
  const asked = await filterWith({ databases: [path('a.mmdb')], private_addresses: true })
  for (const ip of addresses) {
    t.same(without.apply({ source: { ip } }), { source: { ip } }, ip)
    t.hasProp((asked.apply({ source: { ip } }) as { source: object }).source, 'geo', ip)
  }
  for (const ip of ['172.32.0.1', '100.128.0.1', '11.0.0.1', '192.169.0.1'])
    t.hasProp((without.apply({ source: { ip } }) as { source: object }).source, 'geo', ip)
})

t.test('every way to write an address is taken without an error', async t => {
  const path = folderOf(t, { 'a.mmdb': mmdb({ '2000::/3': { country_code: 'GB' }, '81.2.0.0/16': { country_code: 'SE' } }) })
  const { apply } = await filterWith({ databases: [path('a.mmdb')] })
  const code = (ip: string) =>
    (apply({ source: { ip } }) as { source: { geo?: { country_iso_code: string } } }).source.geo?.country_iso_code
  for (const ip of ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:DB8::1', '2001:db8::1%eth0', '2001:db8::192.0.2.1'])
    t.equal(code(ip), 'GB', ip)
  for (const ip of ['::ffff:81.2.69.1', '::FFFF:5102:4501', '0:0:0:0:0:ffff:81.2.69.1', '::ffff:5102:4501'])
    t.equal(code(ip), 'SE', ip)
  for (const ip of ['', ':', '::', '::1.2.3.4', '81.2.69', '081.2.69.1', '81.2.69.1:443', '[2001:db8::1]', '1'.repeat(100_000)])
    t.equal(code(ip), undefined, ip.slice(0, 20))
})

t.test('a damaged database is refused, with what to do', async t => {
  const whole = mmdb({ '81.2.0.0/16': city('London'), '2a02::/16': city('Oslo') })
  const load = async (bytes: Buffer, options: JsonObject = {}) => {
    const path = folderOf(t, { 'a.mmdb': bytes })('a.mmdb')
    await (mmdbTable.create({ path, private_addresses: false, ...options }, noSite) as Table).load?.(signal)
  }
  await load(whole)
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(whole)
    change(bytes)
    return bytes
  }
  const cases: Record<string, Buffer> = {
    'cut off': whole.subarray(0, whole.length / 2),
    'without its beginning': whole.subarray(300),
    'cut off in its metadata': whole.subarray(0, whole.length - 40),
    'compressed with gzip': gzipSync(whole),
    'with a pointer that leads out of it': changed(bytes => bytes.fill(0xff, 14, 17)),
    'with zeroes for its records': changed(bytes => bytes.fill(0, whole.indexOf('city') - 2, whole.indexOf('MaxMind.com') - 3)),
    'of another version': changed(bytes => {
      bytes[whole.indexOf('major_version') + 'major_version'.length + 4] = 3
    }),
  }
  for (const [name, bytes] of Object.entries(cases)) {
    await t.rejects(load(bytes), { code: 'PEN_MMDB', message: /a\.mmdb is no whole MMDB database: .+; download it again$/ }, name)
  }
})

t.test('loading ends with the abort', async t => {
  const path = folderOf(t, { 'a.mmdb': mmdb({ '81.2.0.0/16': city('London') }) })('a.mmdb')
  const { load } = mmdbTable.create({ path, private_addresses: false }, noSite) as Required<Table>
  await t.rejects(load(AbortSignal.abort()), {
    name: 'AbortError',
  })
})

const fixtures = fileURLToPath(new URL('../../../shared/fixtures/', import.meta.url))
t.test(
  'the fixtures of real records have the same geo and as',
  { skip: existsSync(join(fixtures, 'mmdb')) ? false : `${fixtures}mmdb is not there` },
  async t => {
    const databases = ['GeoLite2-City.mmdb', 'GeoLite2-ASN.mmdb'].map(name => join(fixtures, 'mmdb', name))
    const { apply } = await filterWith({ databases })
    const files = {
      'o365.audit': ['source'],
      'o365.audit.newer': ['source'],
      'microsoft_exchange_online_message_trace.log': ['source', 'destination'],
    }
    for (const [file, sides] of Object.entries(files)) {
      const lines = readFileSync(join(fixtures, `${file}.ndjson`), 'utf8')
        .trim()
        .split('\n')
      const wanted: JsonObject[] = []
      const found: JsonObject[] = []
      for (const [index, line] of lines.entries()) {
        for (const document of [(JSON.parse(line) as { expected: JsonObject | JsonObject[] | null }).expected].flat()) {
          for (const side of sides) {
            const { ip, geo, as } = (document?.[side] ?? {}) as JsonObject
            if (typeof ip !== 'string') continue
            const place = `line ${index + 1}, ${side}`
            wanted.push({ place, ip, geo, as })
            found.push({ place, geo: undefined, as: undefined, ...(apply({ source: { ip } })['source'] as JsonObject) })
          }
        }
      }
      t.strictSame(found, wanted, file)
      t.ok(wanted.length > 2, `${file}: ${wanted.length} addresses`)
    }
  },
)
