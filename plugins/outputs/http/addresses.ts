// Where the event goes: a URL and headers, as one address object for all events that share them.
import type { Address, Item } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import type { Template } from '../../lib/template.ts'
import type { EventHeaders } from './headers.ts'

/** Addresses that are kept as objects; more are forgotten all at once. */
const REMEMBERED = 1024

export function addressBook(url: Template, headers: EventHeaders): { of(fields: JsonObject): Address | undefined } {
  if (url.fields.length === 0 && headers.names.length === 0) return { of: () => undefined }
  const known = new Map<string, Address>()
  return {
    of(fields) {
      const to = url.render(fields)
      const texts = headers.texts(fields)
      // A newline stands in none of them.
      const key = [to, ...texts].join('\n')
      let found = known.get(key)
      if (!found) {
        if (known.size >= REMEMBERED) known.clear()
        found = { to, headers: Object.fromEntries(headers.names.map((name, i) => [name, texts[i] as string])) }
        known.set(key, found)
      }
      return found
    },
  }
}

/** Events that go to one address, as indices in their order. */
export interface Group {
  readonly address: Address
  readonly indices: number[]
}

/** The events of these indices by their address. From a worker the same address comes as another object. */
export function byAddress(items: readonly Item[], indices: readonly number[]): Group[] {
  const groups = new Map<string, Group>()
  let last: Group | undefined
  for (const index of indices) {
    const { address } = items[index] as Item
    if (last?.address !== address) {
      const key = [address.to ?? '', ...Object.entries(address.headers ?? {}).flat()].join('\n')
      last = groups.get(key)
      if (!last) {
        last = { address, indices: [] }
        groups.set(key, last)
      }
    }
    last.indices.push(index)
  }
  return [...groups.values()]
}
