// Adds country, city and network of addresses.
import { fileURLToPath } from 'node:url'
import { defineFilter } from '../../../core/plugin/define.ts'
import { OptionError, PermanentError } from '../../../core/plugin/errors.ts'
import type { TableHandle } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { type FieldPath, fieldPath } from '../../lib/field-path.ts'
import { GEO_NAMES, type Place, placeOf } from './ecs.ts'

const BUILT_IN = '@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb'

interface Target {
  readonly address: FieldPath
  readonly geo: FieldPath
  readonly as: FieldPath
}

export default defineFilter({
  summary: 'Adds the country, city and network (AS) of addresses',
  description:
    'What is found for `source.ip` lies in `source.geo` and `source.as`, under the names of ECS. Without `databases` it is the ' +
    'country, from a database that comes with Penstock (ip-location-db, CC0). Any MMDB database serves: City, Country, ASN, ISP or ' +
    'Enterprise of MaxMind, and those of DB-IP, IPinfo and ip-location-db; where several say something about the place, the first ' +
    'one counts and the others fill in what it lacks. A database that holds something else goes with `enrich` and a table of type ' +
    '`mmdb`. Files are read again when they change.\n\n' +
    'What is no address is left alone, and so is an address that no database knows. A list of addresses counts as the first of them ' +
    'that is known. What stood in `geo` or `as` before is replaced whole, since two sources may not agree on the place.',
  options: {
    fields: {
      type: 'array',
      items: { type: 'string', format: 'field' },
      minItems: 1,
      default: ['source.ip'],
      description: 'Fields that hold an address or a list of them',
    },
    databases: {
      type: 'array',
      items: { type: 'string', format: 'path' },
      minItems: 1,
      description: 'MMDB files, the most precise one first; the country database that comes with Penstock when absent',
    },
    properties: {
      type: 'array',
      items: { type: 'string', enum: GEO_NAMES },
      default: ['city_name', 'continent_name', 'country_iso_code', 'country_name', 'location', 'region_iso_code', 'region_name'],
      description: 'What to add below geo, where the databases have it',
    },
    target: {
      type: 'string',
      format: 'field',
      description: 'Object that gets geo and as; the one that the address lies in when absent',
    },
    private_addresses: {
      type: 'boolean',
      default: false,
      description: 'Look private, loopback and link-local addresses up too, for a database of your own networks',
    },
  },
  examples: [
    {},
    { databases: ['GeoLite2-City.mmdb', 'GeoLite2-ASN.mmdb'], fields: ['source.ip', 'destination.ip'] },
    { databases: ['offices.mmdb'], private_addresses: true },
  ],
  create({ fields, databases, properties, target, private_addresses }, site) {
    if (target !== undefined && fields.length > 1)
      throw new OptionError('target', 'goes with one field only: a second result would replace the first')
    const targets = fields.map((field, index) => targetOf(fieldPath(field, `fields[${index}]`), target))
    const handles = (databases ?? [builtIn()]).map((path, index) =>
      site.table({ type: 'mmdb', options: { path, private_addresses } }, `databases[${index}]`),
    )
    /** Networks share records, and a table gives the same object for the same record: each is read once for each image. */
    const places = new WeakMap<JsonObject, Place>()
    const find = (handle: TableHandle, address: string): Place | undefined => {
      const record = handle.lookup(address)
      if (!record) return undefined
      let place = places.get(record)
      if (!place) {
        place = placeOf(record, properties)
        places.set(record, place)
      }
      return place
    }

    /** True when something was found. What lies in `places` is copied, because later filters may change the event's. */
    const locate = (fields: JsonObject, { geo, as }: Target, address: string): boolean => {
      let where: JsonObject | undefined
      let network: Place['as']
      for (const handle of handles) {
        const place = find(handle, address)
        if (!place) continue
        if (place.geo && !where) where = { ...place.geo }
        else if (place.geo && where && sameCountry(place.geo, where)) where = { ...place.geo, ...where }
        network ??= place.as
      }
      if (where) {
        if (where.location) where.location = { ...(where.location as JsonObject) }
        put(fields, geo, where)
      }
      if (network)
        put(fields, as, network.organization ? { ...network, organization: { ...network.organization } } : { ...network })
      return where !== undefined || network !== undefined
    }

    return {
      apply(event) {
        for (const target of targets) {
          const value = target.address.get(event.fields)
          if (typeof value === 'string') locate(event.fields, target, value)
          else if (Array.isArray(value)) value.some(one => typeof one === 'string' && locate(event.fields, target, one))
        }
        return event
      },
    }
  },
})

/** Databases that disagree on the country must not be mixed. */
function sameCountry(a: Readonly<JsonObject>, b: JsonObject): boolean {
  return a.country_iso_code === b.country_iso_code || a.country_iso_code === undefined || b.country_iso_code === undefined
}

function put(fields: JsonObject, path: FieldPath, value: JsonObject): void {
  if (!path.set(fields, value))
    throw new PermanentError(`${path.text} cannot be set, because something on the way to it is no object`)
}

/** Where the result for an address goes: beside it, or into the object at `target`. */
function targetOf(address: FieldPath, target: string | undefined): Target {
  const into = target === undefined ? address.segments.slice(0, -1) : fieldPath(target, 'target').segments
  const path = (name: string) => fieldPath([...into, name].map(written).join('').replace(/^\./, ''))
  return { address, geo: path('geo'), as: path('as') }
}

/** A segment of a field path as it is written behind others. */
function written(segment: string | number): string {
  if (typeof segment === 'number') return `[${segment}]`
  return /[.[\]"']/.test(segment) ? `["${segment.replace(/["\\]/g, '\\$&')}"]` : `.${segment}`
}

function builtIn(): string {
  try {
    return fileURLToPath(import.meta.resolve(BUILT_IN))
  } catch (cause) {
    throw new OptionError('databases', `must be given, because the country database of Penstock (${BUILT_IN}) is not installed`, {
      cause,
    })
  }
}
