// Connections to addresses of the public internet alone: what a name leads to is looked at before anything is connected.
import { lookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { PenstockError } from '../../../core/plugin/errors.ts'

/** An address that deny_private does not let through. */
export class PrivateAddressError extends PenstockError {
  constructor(host: string, address: string, range: string) {
    const what = host === address ? host : `${host} leads to ${address}, which`
    super('PEN_PRIVATE_ADDRESS', `${what} is no public address (${range}), and deny_private allows no other`)
  }
}

/**
 * What kind of special address this is (`loopback`, `private`, `linkLocal` …); undefined for one of the public internet. An IPv4
 * address inside an IPv6 one (`::ffff:`, 6to4, NAT64, Teredo) never counts as public.
 */
export function specialRange(address: string): string | undefined {
  // A zone (`fe80::1%eth0`) is for addresses of one link.
  const range = ipaddr.isValid(address.replace(/%.*$/, '')) ? ipaddr.parse(address.replace(/%.*$/, '')).range() : 'no address'
  return range === 'unicast' ? undefined : range
}

/** Throws a PrivateAddressError for a URL whose host is such an address itself: then no name is looked up. */
export function checkHost({ hostname }: URL): void {
  const host = hostname.replace(/^\[|\]$/g, '')
  const range = isIP(host) ? specialRange(host) : undefined
  if (range !== undefined) throw new PrivateAddressError(host, host, range)
}

/** The `lookup` of a connection that fails when one of the addresses is not public, so that exactly what was looked at is used. */
export function publicOnly(resolve: typeof lookup = lookup): LookupFunction {
  return (host, options, callback) => {
    resolve(host, { ...options, all: true }, (error, found) => {
      const [first] = found ?? []
      if (error || !first) return callback(error ?? new Error(`${host} leads to no address`), '')
      for (const { address } of found) {
        const range = specialRange(address)
        if (range !== undefined) return callback(new PrivateAddressError(host, address, range), '')
      }
      if (options.all) callback(null, found)
      else callback(null, first.address, first.family)
    })
  }
}
