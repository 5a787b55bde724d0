// Writes small MMDB databases, so that every form of them can be tested without anybody's data.
import ipaddr from 'ipaddr.js'

export interface MmdbOptions {
  readonly ipVersion?: 4 | 6
  readonly recordSize?: 24 | 28 | 32
  readonly type?: string
  /** Unused bytes before the records. */
  readonly gapBytes?: number
}

type Node = [Child, Child]
type Child = Node | number | undefined

/** A database of networks (CIDR) and their records; an IPv4 network in a tree of IPv6 lies below ::/96. */
export function mmdb(
  networks: Readonly<Record<string, unknown>>,
  { ipVersion = 6, recordSize = 28, type = 'Test', gapBytes = 0 }: MmdbOptions = {},
): Buffer {
  const data: Buffer[] = [Buffer.alloc(gapBytes)]
  let dataBytes = gapBytes
  const root: Node = [undefined, undefined]
  for (const [network, record] of Object.entries(networks)) {
    const bytes = encode(record)
    insert(root, bitsOf(network, ipVersion), dataBytes)
    data.push(bytes)
    dataBytes += bytes.length
  }
  const nodes: Node[] = []
  const number = (node: Node): void => {
    nodes.push(node)
    for (const child of node) if (Array.isArray(child)) number(child)
  }
  number(root)
  const places = new Map(nodes.map((node, index) => [node, index]))
  const value = (child: Child): number => {
    if (child === undefined) return nodes.length
    return Array.isArray(child) ? (places.get(child) as number) : nodes.length + 16 + child
  }
  const tree = Buffer.concat(nodes.map(([left, right]) => nodeBytes(value(left), value(right), recordSize)))
  const metadata = {
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: 1_700_000_000,
    database_type: type,
    description: { en: 'made for a test' },
    ip_version: ipVersion,
    languages: ['en'],
    node_count: nodes.length,
    record_size: recordSize,
  }
  return Buffer.concat([tree, Buffer.alloc(16), ...data, Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1'), encode(metadata)])
}

function bitsOf(network: string, ipVersion: 4 | 6): number[] {
  const [address, prefix] = ipaddr.parseCIDR(network)
  const bits = address
    .toByteArray()
    .flatMap(byte => [7, 6, 5, 4, 3, 2, 1, 0].map(shift => (byte >> shift) & 1))
    .slice(0, prefix)
  return ipVersion === 6 && address.kind() === 'ipv4' ? [...new Array<number>(96).fill(0), ...bits] : bits
}

function insert(root: Node, bits: readonly number[], place: number): void {
  let node = root
  for (const bit of bits.slice(0, -1)) {
    const next = node[bit]
    if (Array.isArray(next)) node = next
    else {
      const made: Node = [next, next]
      node[bit] = made
      node = made
    }
  }
  node[bits[bits.length - 1] as number] = place
}

function nodeBytes(left: number, right: number, recordSize: 24 | 28 | 32): Buffer {
  const bytes = Buffer.alloc(recordSize / 4)
  if (recordSize === 32) {
    bytes.writeUInt32BE(left, 0)
    bytes.writeUInt32BE(right, 4)
    return bytes
  }
  bytes.writeUIntBE(left & 0xffffff, 0, 3)
  bytes.writeUIntBE(right & 0xffffff, bytes.length - 3, 3)
  if (recordSize === 28) bytes[3] = ((left >>> 24) << 4) | (right >>> 24)
  return bytes
}

const MAP = 7
const TEXT = 2
const DOUBLE = 3
const UINT32 = 6
const LIST = 11
const BOOLEAN = 14

function encode(value: unknown): Buffer {
  if (typeof value === 'string') return Buffer.concat([head(TEXT, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'boolean') return head(BOOLEAN, value ? 1 : 0)
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(8)
    if (Number.isInteger(value) && value >= 0) {
      bytes.writeUInt32BE(value)
      return Buffer.concat([head(UINT32, 4), bytes.subarray(0, 4)])
    }
    bytes.writeDoubleBE(value)
    return Buffer.concat([head(DOUBLE, 8), bytes])
  }
  if (Array.isArray(value)) return Buffer.concat([head(LIST, value.length), ...value.map(encode)])
  const entries = Object.entries(value as object)
  return Buffer.concat([head(MAP, entries.length), ...entries.flatMap(([key, item]) => [encode(key), encode(item)])])
}

function head(type: number, size: number): Buffer {
  const [bits, more] = size < 29 ? [size, []] : [29, [size - 29]]
  return Buffer.from(type > 7 ? [bits, type - 7, ...more] : [(type << 5) | bits, ...more])
}
