// What an MMDB record says, under ECS names: the records of MaxMind's databases, and the flat ones of IPinfo and ip-location-db.
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'

/** The names below `geo` that a database can give. */
export const GEO_NAMES = [
  'city_name',
  'continent_code',
  'continent_name',
  'country_iso_code',
  'country_name',
  'location',
  'postal_code',
  'region_iso_code',
  'region_name',
  'timezone',
] as const
export type GeoName = (typeof GEO_NAMES)[number]

/** `geo` and `as` of one record; absent where it says nothing of the kind. */
export interface Place {
  readonly geo: Readonly<JsonObject> | undefined
  readonly as: Readonly<AutonomousSystem> | undefined
}
export interface AutonomousSystem {
  number: number
  organization?: { name: string }
}

let countryNames: Intl.DisplayNames | undefined

/** Reads a record of any known shape; `names` are the ones wanted below `geo`. */
export function placeOf(record: JsonObject, names: readonly GeoName[]): Place {
  const all = isObject(record.country) || isObject(record.continent) || isObject(record.city) ? nested(record) : flat(record)
  const geo: JsonObject = {}
  for (const name of names) if (all[name] !== undefined) geo[name] = all[name]
  return { geo: Object.keys(geo).length > 0 ? geo : undefined, as: autonomousSystem(record) }
}

type Geo = Partial<Record<GeoName, unknown>>

/** MaxMind's City, Country and Enterprise, and DB-IP's of the same shape. */
function nested(record: JsonObject): Geo {
  const city = object(record.city)
  const continent = object(record.continent)
  const country = object(record.country)
  const where = object(record.location)
  const regions = Array.isArray(record.subdivisions) ? record.subdivisions : []
  // Listed from the largest to the smallest: the last one says most.
  const region = object(regions[regions.length - 1])
  const code = text(country.iso_code)
  return {
    city_name: english(city),
    continent_code: text(continent.code),
    continent_name: english(continent),
    country_iso_code: code,
    country_name: english(country),
    location: location(where.latitude, where.longitude),
    postal_code: text(object(record.postal).code),
    region_iso_code: code && text(region.iso_code) && `${code}-${region.iso_code}`,
    region_name: english(region),
    timezone: text(where.time_zone),
  }
}

/** ip-location-db (country_code, state1, latitude) and IPinfo (country or country_code, region, lat). */
function flat(record: JsonObject): Geo {
  const code = countryCode(record.country_code) ?? countryCode(record.country)
  const continentCode = text(record.continent_code) ?? countryCode(record.continent)
  const longContinent = text(record.continent_name) ?? text(record.continent)
  return {
    city_name: text(record.city),
    continent_code: continentCode,
    continent_name: longContinent === continentCode ? undefined : longContinent,
    country_iso_code: code,
    country_name: code && countryName(code, text(record.country_name) ?? text(record.country)),
    location: location(record.latitude ?? record.lat, record.longitude ?? record.lng),
    postal_code: text(record.postcode) ?? text(record.postal_code),
    region_iso_code: code && text(record.region_code) && `${code}-${record.region_code}`,
    region_name: text(record.region) ?? text(record.state1),
    timezone: text(record.timezone),
  }
}

function autonomousSystem(record: JsonObject): AutonomousSystem | undefined {
  const traits = object(record.traits)
  const given = record.autonomous_system_number ?? traits.autonomous_system_number ?? record.asn
  const number = typeof given === 'string' ? Number(given.replace(/^AS/i, '')) : given
  if (typeof number !== 'number' || !Number.isInteger(number) || number <= 0) return undefined
  const name = text(record.autonomous_system_organization) ?? text(traits.autonomous_system_organization) ?? text(record.as_name)
  return name === undefined ? { number } : { number, organization: { name } }
}

/** The name that the record has, else the one that Node knows: some databases hold codes only. */
function countryName(code: string, name: string | undefined): string | undefined {
  if (name !== undefined && name !== code) return name
  countryNames ??= new Intl.DisplayNames('en', { type: 'region', fallback: 'none' })
  return countryNames.of(code)
}

function countryCode(value: unknown): string | undefined {
  return typeof value === 'string' && /^[A-Z]{2}$/.test(value) ? value : undefined
}

function location(lat: unknown, lon: unknown): JsonObject | undefined {
  const point = { lat: degrees(lat), lon: degrees(lon) }
  return Number.isFinite(point.lat) && Number.isFinite(point.lon) ? point : undefined
}

function degrees(value: unknown): number {
  return typeof value === 'string' && value !== '' ? Number(value) : typeof value === 'number' ? value : Number.NaN
}

function english(place: JsonObject): string | undefined {
  return text(object(place.names).en)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function object(value: unknown): JsonObject {
  return isObject(value) ? value : {}
}
