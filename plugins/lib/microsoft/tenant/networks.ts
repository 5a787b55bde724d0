// Every address that the fictional tenants use, in one place, and the countries they lie in.
import type { Draw } from './draw.ts'

// Offices. A map or a "top countries" table needs addresses that databases place in a country, and most documentation ranges lie in
// none. These are the network numbers (the first address, which no host has) of blocks of national research networks: infrastructure
// that is public knowledge, with no person behind the address. Only ordinary work comes from them: whoever attacks, sends junk or
// comes from home does so from 192.0.2.0/24, the range for documentation (RFC 5737).

/** A town with an office. `v4` and `v6` are what its people's traffic comes from. */
export interface Place {
  /** ISO 3166-1 alpha-2; '' for nowhere. */
  readonly country: string
  readonly state: string
  readonly city: string
  readonly latitude: number
  readonly longitude: number
  readonly v4: readonly string[]
  readonly v6: string
}

const place = (country: string, state: string, city: string, latitude: number, longitude: number, v4: string[], v6: string) => ({
  country,
  state,
  city,
  latitude,
  longitude,
  v4,
  v6,
})

export const PLACES: readonly Place[] = [
  place('NL', 'Noord-Holland', 'Amsterdam', 52.37, 4.89, ['145.145.0.0', '192.87.0.0'], '2001:610::'), // SURF
  place('DE', 'Berlin', 'Berlin', 52.52, 13.4, ['188.1.0.0', '193.174.0.0'], '2001:638::'), // DFN
  place('US', 'Washington', 'Seattle', 47.61, -122.33, ['64.57.16.0', '64.57.24.0'], '2001:468::'), // Internet2
  place('GB', 'England', 'London', 51.51, -0.13, ['193.60.0.0', '193.62.0.0'], '2001:630::'), // Janet
  place('FR', 'Paris', 'Paris', 48.86, 2.35, ['193.49.0.0', '193.51.0.0'], '2001:660::'), // RENATER
  place('ES', 'Madrid', 'Madrid', 40.42, -3.7, ['130.206.0.0', '193.144.0.0'], '2001:720::'), // RedIRIS
  place('SE', 'Stockholm', 'Stockholm', 59.33, 18.07, ['130.242.0.0'], '2001:6b0::'), // SUNET
  place('CH', 'Zurich', 'Zürich', 47.37, 8.54, ['130.59.0.0'], '2001:620::'), // SWITCH
  place('PL', 'Wielkopolskie', 'Poznań', 52.41, 16.93, ['150.254.0.0', '212.191.0.0'], '2001:808::'), // PIONIER
  place('BR', 'Rio de Janeiro', 'Rio de Janeiro', -22.91, -43.17, ['200.143.192.0', '200.130.0.0'], '2001:12f0::'), // RNP
  place('JP', 'Tokyo', 'Tokyo', 35.68, 139.69, ['150.99.0.0'], '2001:2f8::'), // SINET
  place('AU', 'New South Wales', 'Sydney', -33.87, 151.21, ['138.44.0.0', '202.158.192.0'], '2001:388::'), // AARNet
]

/** How people spread over PLACES: the headquarters first. */
const SPREAD = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9, 10, 11] as const

export function drawPlace(draw: Draw): Place {
  return PLACES[draw.pick(SPREAD)] as Place
}

/** Where an address of the documentation range lies, as far as anybody can say. */
export const NOWHERE: Place = {
  country: '',
  state: '',
  city: '',
  latitude: 0,
  longitude: 0,
  v4: ['192.0.2.1'],
  v6: '2001:db8::1',
}

/** An address of somebody who is not in an office: 192.0.2.1 to 192.0.2.199. */
export function homeAddress(draw: Draw): string {
  return `192.0.2.${1 + draw.below(199)}`
}

/** An address that nothing good comes from: 192.0.2.200 to 192.0.2.254. */
export function hostileAddress(draw: Draw): string {
  return `192.0.2.${200 + draw.below(55)}`
}

/** An address of an office: IPv6 now and then. */
export function officeAddress(at: Place, draw: Draw): string {
  return draw.chance(0.08) ? at.v6 : draw.pick(at.v4)
}

/** A private address: machines behind an office's gateway. */
export function privateAddress(draw: Draw): string {
  return `10.${draw.below(250)}.${draw.below(250)}.${1 + draw.below(250)}`
}

export function isIpv6(address: string): boolean {
  return address.includes(':')
}

/** An address with a port, as Exchange writes it: an IPv6 address stands in brackets. */
export function withPort(address: string, port: number): string {
  return isIpv6(address) ? `[${address}]:${port}` : `${address}:${port}`
}
