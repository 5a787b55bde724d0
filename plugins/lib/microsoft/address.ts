// Reads addresses as Microsoft's records write them: with a port, in brackets, IPv4 inside IPv6, behind a machine's name.
import { isIPv6 } from 'node:net'
import { cut } from '../flat-text.ts'

/** Parts of an address; what the text does not hold is absent. */
export interface Address {
  /** A valid IPv4 or IPv6 address. */
  readonly ip?: string
  /** 0 to 65535. */
  readonly port?: number
  /** The address as it was given, valid or not, without brackets and port. */
  readonly address?: string
  /** A host name. Where the whole text is no address, the whole text. */
  readonly domain?: string
  /** What `ip` is. */
  readonly version?: 'ipv4' | 'ipv6'
}

/**
 * Reads one address. `undefined` for no text, an empty one and Microsoft's `<null>`.
 * Forms: `192.0.2.1`, `192.0.2.1:443`, `[192.0.2.1]:443`, `2001:db8::1`, `[2001:db8::1]:443`, `::ffff:192.0.2.1`,
 * `NAME (192.0.2.1)` with or without brackets round it, and host names.
 */
export function readAddress(value: unknown): Address | undefined {
  if (typeof value !== 'string') return undefined
  const v4 = endOfIPv4(value)
  if (v4 > 0) {
    if (v4 === value.length) return { ip: value, address: value, version: 'ipv4' }
    const port = value.charCodeAt(v4) === COLON ? readPort(value, v4 + 1) : undefined
    if (port !== undefined) {
      const ip = cut(value, 0, v4)
      return { ip, port, address: ip, version: 'ipv4' }
    }
  }
  if (value.length > CACHED_LENGTH) return readOther(value)
  const cached = others.get(value)
  if (cached !== undefined) return cached ?? undefined
  const found = readOther(value)
  if (others.size >= CACHED) others.clear()
  others.set(value, found ?? null)
  return found
}

/** All but plain IPv4 costs enough to be remembered: servers and hosts recur. Bounded in number and in length. */
const others = new Map<string, Address | null>()
const CACHED = 4096
const CACHED_LENGTH = 64

function readOther(value: string): Address | undefined {
  const text = cutTrimmed(value, 0, value.length)
  if (text === '' || text === '<null>') return undefined
  return text.endsWith(')') || text.endsWith(')]') ? (readNamed(text) ?? read(text)) : read(text)
}

const COLON = 58
const DIGITS = /^\d*$/

/** `NAME (address)` or `[NAME (address)]`. The text in parentheses is often a build number and no address. */
function readNamed(text: string): Address | undefined {
  const bracketed = text.startsWith('[') && text.endsWith(']')
  const open = text.lastIndexOf('(')
  const close = text.length - (bracketed ? 2 : 1)
  if (text.charCodeAt(close) !== 41 || open > close) return undefined
  const domain = cutTrimmed(text, bracketed ? 1 : 0, open)
  if (domain === '') return undefined
  const address = cutTrimmed(text, open + 1, close)
  if (address === '') return { domain }
  const found = readHost(address)
  return found ? { domain, ...found } : { domain, address }
}

function cutTrimmed(text: string, start: number, end: number): string {
  while (start < end && text.charCodeAt(start) <= 32) start++
  while (end > start && text.charCodeAt(end - 1) <= 32) end--
  return cut(text, start, Math.max(start, end))
}

function read(text: string): Address {
  const close = text.startsWith('[') ? text.indexOf(']') : -1
  if (close > 0) {
    const found = readHost(cut(text, 1, close))
    if (found && close === text.length - 1) return found
    return (found && text.charCodeAt(close + 1) === COLON && withPort(found, text, close + 2)) || { domain: text }
  }
  const found = readHost(text)
  if (found) return found
  // `2001:db8::1:443` is a whole address; only where the text as a whole is none does what follows its last colon mean a port.
  const colon = text.lastIndexOf(':')
  const host = colon > 0 ? readHost(cut(text, 0, colon)) : undefined
  return (host && withPort(host, text, colon + 1)) || { domain: text }
}

/** The address with the port that begins at `start`; without it where the digits are none; undefined for what are no digits. */
function withPort(host: Address, text: string, start: number): Address | undefined {
  const port = readPort(text, start)
  if (port !== undefined) return { ...host, port }
  return DIGITS.test(text.slice(start)) ? host : undefined
}

/** A bare address, which may be IPv4 written as IPv6, or have a zone (which no index takes). */
function readHost(text: string): Address | undefined {
  if (text !== '' && endOfIPv4(text) === text.length) return { ip: text, address: text, version: 'ipv4' }
  if (!text.includes(':')) return undefined
  const zone = text.indexOf('%')
  const ip = zone < 0 ? text : cut(text, 0, zone)
  if (!isIPv6(ip)) return undefined
  const mapped = ip.slice(0, 7).toLowerCase() === '::ffff:' ? cut(ip, 7) : ''
  if (mapped !== '' && endOfIPv4(mapped) === mapped.length) return { ip: mapped, address: mapped, version: 'ipv4' }
  return { ip, address: ip, version: 'ipv6' }
}

/** Where the dotted IPv4 address that the text begins with ends; 0 when there is none. One pass, for the event's hot path. */
function endOfIPv4(text: string): number {
  let at = 0
  for (let part = 0; part < 4; part++) {
    if (part > 0 && text.charCodeAt(at++) !== 46) return 0
    const start = at
    let value = 0
    while (at - start < 3) {
      const digit = text.charCodeAt(at) - 48
      if (!(digit >= 0 && digit <= 9)) break
      value = value * 10 + digit
      at++
    }
    if (at === start || value > 255) return 0
    // A leading zero would mean octal to some readers.
    if (at - start > 1 && text.charCodeAt(start) === 48) return 0
  }
  const next = text.charCodeAt(at)
  return next >= 48 && next <= 57 ? 0 : at
}

/** The digits from `start` to the end of the text as a port; undefined when they are none. */
function readPort(text: string, start: number): number | undefined {
  if (text.length === start || text.length - start > 5) return undefined
  let port = 0
  for (let at = start; at < text.length; at++) {
    const digit = text.charCodeAt(at) - 48
    if (!(digit >= 0 && digit <= 9)) return undefined
    port = port * 10 + digit
  }
  return port <= 65535 ? port : undefined
}
