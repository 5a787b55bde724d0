// MMDB databases (MaxMind's format: GeoLite2, DB-IP, IPinfo, ip-location-db and others) in shared memory.
import { open } from 'node:fs/promises'
import { isIP } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import { Reader } from 'maxmind'
import { asError, PenstockError } from '../../core/plugin/errors.ts'
import type { TableHandle } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'

const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
/** The format allows the metadata no more than this much at the end of the file. */
const METADATA_BYTES = 128 * 1024
const SEPARATOR_BYTES = 16
const MAX_BYTES = 2 * 1024 ** 3
/** Nodes of the search tree that are checked before the event loop gets its turn. */
const NODES_AT_ONCE = 1 << 18
/** Records that are decoded as a sample when a database is loaded. */
const SAMPLES = 256
/**
 * Addresses whose records are remembered, about 4 MB a thread: 160 ns instead of 1.7 µs for a look-up. Too few would cost more than
 * none where the addresses outnumber them, so the decoded pieces below are kept as well (0.8 µs then).
 */
const KEPT_ADDRESSES = 32_768
/** Decoded pieces that are remembered by their place: most networks share their records with others. */
const KEPT_PIECES = 16_384

/** Private, shared, loopback, link-local, multicast and reserved addresses, which public databases are sometimes wrong about. */
const NOT_PUBLIC_IPV4 =
  /^(?:0|10|127|169\.254|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])|22[4-9]|2[345]\d)\./
const NOT_PUBLIC_IPV6 = new Set(['unspecified', 'linkLocal', 'multicast', 'loopback', 'uniqueLocal'])

/** Stands in the cache for an address that the database does not know. */
const NOTHING: JsonObject = {}

/**
 * Reads a database into shared memory and checks it: metadata, every pointer of the search tree, a sample of the records.
 * @throws PenstockError (PEN_MMDB) when the file cannot be read or is no whole database.
 */
export async function loadMmdb(path: string, signal: AbortSignal): Promise<SharedArrayBuffer> {
  const bytes = await readShared(path, signal)
  try {
    await check(bytes, signal)
  } catch (error) {
    signal.throwIfAborted()
    throw new PenstockError('PEN_MMDB', `${path} is no whole MMDB database: ${asError(error).message}; download it again`, {
      cause: error,
    })
  }
  return bytes.buffer as SharedArrayBuffer
}

/**
 * Look-ups by address; `privateAddresses` too, or public ones only. What the database holds for networks that share a record is the
 * same object: copy it before changing it.
 */
export function mmdbView(image: SharedArrayBuffer, privateAddresses = false): TableHandle {
  const pieces = new LRUCache<number, JsonObject>({ max: KEPT_PIECES })
  const reader = new Reader(Buffer.from(image), {
    cache: { get: key => pieces.get(key as number), set: (key, value) => void pieces.set(key as number, value as JsonObject) },
  })
  // A tree of IPv4 addresses would take the first 32 bits of an IPv6 address for one of its own.
  const onlyIpv4 = reader.metadata.ipVersion === 4
  const kept = new LRUCache<string, JsonObject>({ max: KEPT_ADDRESSES })

  const find = (key: string): JsonObject | null => {
    if (!key.includes(':')) return !privateAddresses && NOT_PUBLIC_IPV4.test(key) ? null : get(key)
    const address = ipaddr.process(key)
    const text = address.toString()
    // Not every database leads from ::ffff:192.0.2.1 to 192.0.2.1.
    if (address.kind() === 'ipv4') return find(text)
    return onlyIpv4 || (!privateAddresses && NOT_PUBLIC_IPV6.has(address.range())) ? null : get(text)
  }
  const get = (address: string) => reader.get(address) as unknown as JsonObject | null

  return {
    lookup(key) {
      const known = kept.get(key)
      if (known !== undefined) return known === NOTHING ? undefined : known
      if (isIP(key) === 0) return undefined
      const found = find(key)
      kept.set(key, found ?? NOTHING)
      return found ?? undefined
    },
  }
}

async function readShared(path: string, signal: AbortSignal): Promise<Buffer> {
  try {
    await using file = await open(path, 'r')
    const { size } = await file.stat()
    if (size > MAX_BYTES) throw new Error(`it has ${size} bytes, which is more than any database`)
    const bytes = Buffer.from(new SharedArrayBuffer(size))
    for (let at = 0; at < size; ) {
      const { bytesRead } = await file.read(bytes, at, Math.min(size - at, 8 * 1024 * 1024), at)
      signal.throwIfAborted()
      if (bytesRead === 0) throw new Error('it became shorter while it was read')
      at += bytesRead
    }
    return bytes
  } catch (error) {
    signal.throwIfAborted()
    throw new PenstockError('PEN_MMDB', `${path} cannot be read: ${asError(error).message}`, { cause: error })
  }
}

/** Throws, with half a sentence, when these are not the bytes of a whole database. */
async function check(bytes: Buffer, signal: AbortSignal): Promise<void> {
  const metadata = bytes.lastIndexOf(MARKER)
  if (metadata < 0 || metadata < bytes.length - METADATA_BYTES) {
    const packed = bytes[0] === 0x1f && bytes[1] === 0x8b
    throw new Error(packed ? 'it is compressed with gzip and must be unpacked' : 'the mark at its end is missing')
  }
  const reader = new Reader(bytes)
  const { binaryFormatMajorVersion: version, nodeCount, recordSize, nodeByteSize, searchTreeSize, ipVersion } = reader.metadata
  if (version !== 2) throw new Error(`it has version ${version} of the format, and Penstock reads version 2`)
  if (![4, 6].includes(ipVersion) || !Number.isSafeInteger(nodeCount) || nodeCount < 1)
    throw new Error('its metadata make no sense')
  const dataBytes = metadata - searchTreeSize - SEPARATOR_BYTES
  if (dataBytes < 1) throw new Error('its search tree does not end before its metadata')

  /** The tree's pointer for a bit: below `nodeCount` to a node, at it nowhere, above it to a record behind the separator. */
  const pointer = (node: number, bit: number): number => {
    const at = node * nodeByteSize
    const low = recordSize === 32 ? at + bit * 4 + 1 : at + bit * (nodeByteSize - 3)
    const middle = bytes[at + 3] as number
    const high = recordSize === 24 ? 0 : recordSize === 32 ? (bytes[low - 1] as number) : bit === 0 ? middle >> 4 : middle & 15
    return high * 0x1000000 + (((bytes[low] as number) << 16) | ((bytes[low + 1] as number) << 8) | (bytes[low + 2] as number))
  }
  for (let node = 0; node < nodeCount; node++) {
    if (node % NODES_AT_ONCE === NODES_AT_ONCE - 1) {
      await setImmediate()
      signal.throwIfAborted()
    }
    for (let bit = 0; bit < 2; bit++) {
      const place = pointer(node, bit) - nodeCount
      if (place > 0 && (place < SEPARATOR_BYTES || place - SEPARATOR_BYTES >= dataBytes))
        throw new Error(`node ${node} of its search tree leads to no record`)
    }
  }
  // Decoding throws where a record is damaged.
  for (let walk = 0; walk < SAMPLES; walk++) reader.get(addressOf(pointer, walk, nodeCount, ipVersion === 4 ? 4 : 16))
}

/** An address that has a record: down the tree, a different way for each `walk`, and never into emptiness where there is a choice. */
function addressOf(pointer: (node: number, bit: number) => number, walk: number, nodeCount: number, length: 4 | 16): string {
  const bytes = Buffer.alloc(length)
  let node = 0
  for (let depth = 0; depth < length * 8 && node < nodeCount; depth++) {
    let bit = (Math.imul(walk * 131 + depth, 0x9e3779b1) >>> 28) & 1
    if (pointer(node, bit) === nodeCount) bit = 1 - bit
    bytes[depth >> 3] = (bytes[depth >> 3] as number) | (bit << (7 - (depth & 7)))
    node = pointer(node, bit)
  }
  return ipaddr.fromByteArray([...bytes]).toString()
}
