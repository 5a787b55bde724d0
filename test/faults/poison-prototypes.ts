// A filter for tests that fails when anybody has touched a prototype, in whatever thread it runs, or given an event's objects another one.
import { defineFilter } from '../../core/plugin/define.ts'

const PROTOTYPES = [Object, Array, Function, String, Number, Boolean, RegExp, Date, Map, Set, Promise, Error, Uint8Array].map(
  ({ name, prototype }) => ({ name, prototype: prototype as object, known: snapshot(prototype as object) }),
)

function snapshot(of: object): Map<PropertyKey, unknown> {
  return new Map(Reflect.ownKeys(of).map(key => [key, described(of, key)]))
}

/** Getters count as themselves: calling them on a prototype throws. */
function described(of: object, key: PropertyKey): unknown {
  const { value, get } = Object.getOwnPropertyDescriptor(of, key) ?? {}
  return get ?? value
}

function assertUntouched(): void {
  for (const { name, prototype, known } of PROTOTYPES) {
    for (const key of Reflect.ownKeys(prototype))
      if (!known.has(key) || known.get(key) !== described(prototype, key))
        throw new Error(`${name}.prototype.${String(key)} was set`)
  }
  if (Object.getPrototypeOf(Object.prototype) !== null) throw new Error('Object.prototype has a prototype')
}

function assertPlain(value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null) return
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== (Array.isArray(value) ? Array.prototype : Object.prototype)) throw new Error(`${path} has another prototype`)
  for (const key of Object.keys(value)) assertPlain(Object.getOwnPropertyDescriptor(value, key)?.value, `${path}.${key}`)
}

export default defineFilter({
  summary: 'Fails when a prototype was touched, for tests',
  options: {},
  examples: [{}],
  create: () => ({
    apply(event) {
      assertUntouched()
      assertPlain(event.fields, 'the event')
      return event
    },
    // The instance of the main thread, where outputs write and dead letters are made.
    close: assertUntouched,
  }),
})
