// Items sorted by the path, or name, that the event chose for them.
import type { Address, Item } from '../../../core/plugin/interfaces.ts'

/** Addresses that are kept as objects; more are forgotten all at once. */
const REMEMBERED = 1024

/** Gives the same address object for the same text, mostly. */
export function addressBook(): (to: string) => Address {
  const addresses = new Map<string, Address>()
  let last: Address = { to: '' }
  return to => {
    if (last.to === to) return last
    let found = addresses.get(to)
    if (!found) {
      if (addresses.size >= REMEMBERED) addresses.clear()
      found = { to }
      addresses.set(to, found)
    }
    last = found
    return found
  }
}

/** The items that go to one destination, in their order. */
export interface Same {
  readonly to: string | undefined
  readonly items: readonly Item[]
  readonly indices: Iterable<number>
}

/** Most batches have one destination, and then the items are taken as they are. `fixed`: no other can be. */
export function byDestination(items: readonly Item[], fixed: boolean): Same[] {
  const first = items[0]?.address.to
  if (items.length > 0 && (fixed || items.every(item => item.address.to === first)))
    return [{ to: first, items, indices: items.keys() }]
  const indices = new Map<string | undefined, number[]>()
  items.forEach(({ address: { to } }, index) => {
    const known = indices.get(to)
    if (known) known.push(index)
    else indices.set(to, [index])
  })
  return [...indices].map(([to, of]) => ({ to, items: of.map(index => items[index] as Item), indices: of }))
}
