// The partitions that this member reads: how far each was read, settled and committed.
import type { PartitionOffset, TopicPartition } from '../../lib/kafka/client.ts'

export interface Share extends TopicPartition {
  /** Of the engine: order and positions hold within it. */
  readonly name: string
  /** Positions of an earlier share of the same partition are not this one's. */
  readonly number: number
  /** The offset behind what was read; undefined before anything was. */
  next: bigint | undefined
  settled: bigint | undefined
  committed: bigint | undefined
  /** Messages of the partition that are not read yet. */
  lag: bigint
  /** Bytes that were read. */
  bytes: number
  /** This process has read the partition before, and another one since. */
  readonly back: boolean
  /** What came next was not there any more when it was asked for: the offset behind what was read, or '' where nothing was. */
  gap: string | undefined
}

/** How far a chunk reaches, as the engine hands it back. */
export interface Position {
  readonly [key: string]: string | number
  readonly offset: string
  readonly share: number
}

export class Shares {
  #now = new Map<string, Share>()
  readonly #seen = new Set<string>()
  #count = 0

  /**
   * These partitions and no others, from here on. One that was this member's before stays as it is: what is on its way of it is neither
   * read again nor forgotten. Gives the offsets with which those go on.
   */
  assign(partitions: readonly (TopicPartition & { readonly committed: string | undefined })[]): PartitionOffset[] {
    const before = this.#now
    this.#now = new Map()
    const going: PartitionOffset[] = []
    for (const { topic, partition, committed } of partitions) {
      const name = nameOf({ topic, partition })
      const known = committed === undefined ? undefined : BigInt(committed)
      const share = this.#kept(before.get(name), known) ?? {
        ...{ name, topic, partition, number: ++this.#count, back: this.#seen.has(name) },
        ...{ next: undefined, settled: undefined, committed: undefined, lag: 0n, bytes: 0, gap: undefined },
      }
      share.committed = known
      if (share.next !== undefined) going.push({ topic, partition, offset: String(share.next) })
      this.#seen.add(name)
      this.#now.set(name, share)
    }
    return going
  }

  /** The share of before, unless the group has moved on without it: somebody has delivered more, or was told to begin further back. */
  #kept(share: Share | undefined, known: bigint | undefined): Share | undefined {
    if (share?.next === undefined) return undefined
    if (known !== undefined && known > share.next) return undefined
    if (share.committed !== undefined && (known === undefined || known < share.committed)) return undefined
    return share
  }

  of(partition: TopicPartition): Share | undefined {
    return this.#now.get(nameOf(partition))
  }

  /** True while what was read for this share is still this member's to deliver. */
  isOwn(share: Share): boolean {
    return this.#now.get(share.name) === share
  }

  /** Everything before this position is delivered. */
  settle(name: string, position: Position): void {
    const share = this.#now.get(name)
    if (share?.number === position.share) share.settled = BigInt(position.offset)
  }

  /** What is settled and not committed. */
  due(): PartitionOffset[] {
    const due: PartitionOffset[] = []
    for (const { topic, partition, settled, committed } of this.#now.values())
      if (settled !== undefined && (committed === undefined || settled > committed))
        due.push({ topic, partition, offset: String(settled) })
    return due
  }

  committed(offsets: readonly PartitionOffset[]): void {
    for (const offset of offsets) {
      const share = this.of(offset)
      const now = BigInt(offset.offset)
      if (share && (share.committed === undefined || now > share.committed)) share.committed = now
    }
  }

  get count(): number {
    return this.#now.size
  }

  /** Messages that are not read yet, of all partitions. */
  lag(): number {
    let lag = 0n
    for (const share of this.#now.values()) lag += share.lag
    return Number(lag)
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}
