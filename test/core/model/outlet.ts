// One output in one life, as the model sees it: what it was offered, in which order and when, and how it answered.
import type { Item } from '../../../core/plugin/interfaces.ts'

export interface Limits {
  /** Bytes of unsettled work. */
  readonly cap: number
  readonly concurrency: number
  readonly maxEvents: number
  readonly maxBytes: number
  readonly maxMs: number
  readonly maxTries: number
}

export type Verdict = 'permanent' | 'too large' | 'busy'

/** An answer for one item; `after`: not to be offered again before so many milliseconds. */
export interface Refusal {
  readonly verdict: Verdict
  readonly after: number
}

/** An item that was offered at least once. */
interface Offered {
  /** How often it was refused while another item of its batch was delivered, then or before. */
  tries: number
  alive: boolean
  /** The output has it now. */
  writing: boolean
  /** How the last answer judged it; undefined after a throw. */
  verdict: Verdict | undefined
  threw: boolean
  /** It was part of a batch that was too large. */
  halved: boolean
  /** The breaker was open when it was refused: it must not become a dead letter. */
  spared: boolean
  /** Nothing of its batch was delivered when it was refused: it keeps its place before what follows. */
  inOrder: boolean
  notBefore: number
}

export interface OutletParts {
  readonly id: string
  readonly limits: Limits
  now(): number
  saw(what: string): void
  wrong(sentence: string): void
}

/** What an item has as its address: an event that a dead letter brings again is another item than its source's. */
export const SOURCE = 'source'
export function letterOrigin(letter: number): string {
  return `dead letter ${letter}`
}

/** An event, and the dead letter that brought it, if one did. */
export function itemName(event: string, origin: string | undefined): string {
  return origin === SOURCE ? event : `${event} of ${origin}`
}

/** The breaker of the design page: at least so many refused for good, and more than half of all, within the window. */
const BREAKER = { least: 50, windowMs: 60_000, probeMs: 30_000 }

export class Outlet {
  /** By name of the item. */
  readonly delivered = new Set<string>()
  readonly buried = new Set<string>()
  readonly #parts: OutletParts
  readonly #offered = new Map<string, Offered>()
  /** By partition: the last event that was offered for the first time, and the last that was delivered and kept its place. */
  readonly #lastOffered = new Map<string, number>()
  readonly #lastDelivered = new Map<string, number>()
  #refusedForGood = 0
  #busy = 0
  #outcomes: { readonly at: number; readonly refused: boolean }[] = []
  /** `late`: how many writes may begin before the pipeline has heard of the answer that opened it. */
  #breaker: { readonly openedAt: number; readonly probeAt: number; late: number } | undefined

  constructor(parts: OutletParts) {
    this.#parts = parts
  }

  /** It is done with all that it was offered. */
  get idle(): boolean {
    return this.#offered.size === this.delivered.size + this.#refusedForGood
  }

  offer(items: readonly Item[]): void {
    const { limits, wrong, id: output, now } = this.#parts
    this.#busy++
    if (this.#busy > limits.concurrency) wrong(`${output} has ${this.#busy} writes at once`)
    const bytes = items.reduce((sum, item) => sum + item.bytes.length, 0)
    if (items.length === 0 || items.length > limits.maxEvents || (items.length > 1 && bytes > limits.maxBytes))
      wrong(`${output} was offered a batch of ${items.length} items, ${bytes} bytes`)
    const first = items[0] && this.#offered.get(named(items[0]))
    const breaker = this.#breaker
    // What threw is tried again by itself, and the second half of a batch follows the first.
    if (breaker && now() < breaker.probeAt && !first?.threw && !first?.halved) {
      if (now() > breaker.openedAt || breaker.late-- === 0) wrong(`${output} was offered a batch while its breaker was open`)
    }
    for (const item of items) this.#one(item)
  }

  #one(item: Item): void {
    const { id: output, limits, now } = this.#parts
    const name = named(item)
    const wrong = (what: string) => this.#parts.wrong(`${output}/${name} was offered ${what}`)
    this.#content(item)
    if (this.delivered.has(name) || this.buried.has(name)) wrong('after it was done with')
    const before = this.#offered.get(name)
    const tries = before?.tries ?? 0
    if (item.tries !== tries) wrong(`as refused ${item.tries} times, not ${tries}`)
    if (!before) {
      this.#offered.set(name, {
        tries: 0,
        alive: false,
        writing: true,
        verdict: undefined,
        threw: false,
        halved: false,
        spared: false,
        inOrder: true,
        notBefore: 0,
      })
      this.#inOrder(this.#lastOffered, item, 'offered')
      return
    }
    if (before.writing) wrong('while it was being written')
    if (now() < before.notBefore) wrong(`${before.notBefore - now()} ms too early`)
    const hopeless = before.verdict === 'permanent' || before.verdict === 'too large' || tries >= limits.maxTries
    if (hopeless && !before.spared) wrong(`again after ${tries} tries, the last ${before.verdict}`)
    before.writing = true
  }

  threw(items: readonly Item[], after: number): void {
    this.#over(items, offered => {
      offered.verdict = undefined
      offered.threw = true
      offered.notBefore = this.#parts.now() + after
    })
  }

  tooLarge(items: readonly Item[]): void {
    this.#parts.saw(items.length > 1 ? 'a batch was too large' : 'an item was too large')
    if (items.length === 1) this.answered(items, new Map([[0, { verdict: 'too large', after: 0 }]]))
    else
      this.#over(items, offered => {
        offered.halved = true
      })
  }

  answered(items: readonly Item[], refused: ReadonlyMap<number, Refusal>): void {
    const { limits, now } = this.#parts
    const delivered = items.length - refused.size
    this.#over(items, (offered, item, index) => {
      const refusal = refused.get(index)
      offered.threw = false
      offered.verdict = refusal?.verdict
      if (!refusal) return
      offered.inOrder &&= delivered === 0 && refusal.verdict === 'busy' && !offered.halved
      offered.notBefore = now() + refusal.after
      offered.alive ||= delivered > 0
      if (offered.alive) offered.tries++
      this.#content(item)
    })
    const last = ({ verdict, tries }: Offered) => verdict !== 'busy' || tries >= limits.maxTries
    const hopeless = [...refused.keys()].flatMap(index => this.#offered.get(named(items[index] as Item)) ?? []).filter(last)
    this.#judge(delivered, hopeless.length)
    for (const offered of hopeless) offered.spared = this.#breaker !== undefined
    items.forEach((item, index) => {
      if (refused.has(index)) return
      this.#content(item)
      this.delivered.add(named(item))
      const offered = this.#offered.get(named(item))
      if (limits.concurrency === 1 && offered?.inOrder && !offered.halved) this.#inOrder(this.#lastDelivered, item, 'delivered')
    })
  }

  #judge(delivered: number, refused: number): void {
    const { now, saw, limits } = this.#parts
    const open = { openedAt: now(), probeAt: now() + BREAKER.probeMs, late: limits.concurrency - 1 }
    if (this.#breaker) {
      // A probe is judged by itself.
      this.#breaker = refused > delivered ? open : undefined
      if (!this.#breaker) this.#outcomes = []
      return
    }
    for (let n = 0; n < delivered + refused; n++) this.#outcomes.push({ at: now(), refused: n < refused })
    this.#outcomes = this.#outcomes.filter(({ at }) => at > now() - BREAKER.windowMs)
    const bad = this.#outcomes.filter(outcome => outcome.refused).length
    if (refused === 0 || bad < BREAKER.least || bad * 2 <= this.#outcomes.length) return
    this.#breaker = open
    saw('a breaker opened')
  }

  /** The item of this name became a dead letter. `unencodable`: before it could be offered. */
  bury(name: string, unencodable: boolean): void {
    const { id: output, limits, saw } = this.#parts
    const wrong = (why: string) => this.#parts.wrong(`${output}/${name} is a dead letter ${why}`)
    if (this.delivered.has(name) || this.buried.has(name)) wrong('after it was done with')
    this.buried.add(name)
    if (unencodable) return
    this.#refusedForGood++
    const { verdict, tries = 0, spared, writing } = this.#offered.get(name) ?? {}
    const gaveUp = verdict === 'busy' && tries >= limits.maxTries
    if (gaveUp) saw('an item was given up after its last try')
    if (spared) wrong('though the breaker was open')
    if (writing) wrong('while it was being written')
    if (!gaveUp && verdict !== 'permanent' && verdict !== 'too large') wrong(`after ${tries} tries, the last ${verdict}`)
  }

  #over(items: readonly Item[], each: (offered: Offered, item: Item, index: number) => void): void {
    this.#busy--
    items.forEach((item, index) => {
      const offered = this.#offered.get(named(item))
      if (!offered) return
      offered.writing = false
      each(offered, item, index)
    })
  }

  /** The bytes are the event's own: nobody else writes into them. */
  #content({ id, bytes }: Item): void {
    const text = Buffer.from(bytes).toString('utf8')
    let found: unknown
    try {
      found = (JSON.parse(text) as { id: unknown }).id
    } catch {
      found = text
    }
    if (found !== id) this.#parts.wrong(`${this.#parts.id}/${id} has the bytes of ${found}`)
  }

  #inOrder(last: Map<string, number>, { id, address }: Item, what: string): void {
    if (address.to !== SOURCE) return
    const [input, partition, seq, rest = ''] = id.split('/')
    const [index, part = 0] = rest.split(/[~#]/)
    const place = Number(seq) * 1e6 + Number(index) * 10 + Number(part)
    const key = `${input}/${partition}`
    if (place < (last.get(key) ?? -1))
      this.#parts.wrong(`${this.#parts.id}/${id} was ${what} after a later event of its partition`)
    last.set(key, place)
  }
}

function named({ id, address }: Item): string {
  return itemName(id, address.to)
}
