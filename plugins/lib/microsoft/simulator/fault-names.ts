// Every fault by the name that a command line gives it, and scenarios with other shares of them.
import {
  CONTENT_FAULTS,
  type ContentFault,
  HINT_FAULTS,
  type HintFault,
  REQUEST_FAULTS,
  type RequestFault,
  type Scenario,
} from './faults.ts'

export interface NamedFault {
  readonly name: string
  /** What its share is a share of. */
  readonly of: 'requests' | 'blobs' | 'notifications'
  readonly what: string
  /** 0 to 1. */
  shareIn(scenario: Scenario): number
  /** The same scenario with this share of it. */
  with(scenario: Scenario, share: number): Scenario
}

const keysOf = <K extends string>(table: Readonly<Record<K, string>>) => Object.entries(table) as [K, string][]

export const NAMED_FAULTS: readonly NamedFault[] = [
  ...keysOf<RequestFault>(REQUEST_FAULTS).map(
    ([key, what]): NamedFault => ({
      ...{ name: key, of: 'requests', what },
      shareIn: ({ requests }) => requests[key] ?? 0,
      with: (scenario, share) => ({ ...scenario, requests: { ...scenario.requests, [key]: share } }),
    }),
  ),
  ...keysOf<ContentFault>(CONTENT_FAULTS).map(
    ([key, what]): NamedFault => ({
      ...{ name: key.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`), of: 'blobs', what },
      shareIn: ({ content }) => content[key],
      with: (scenario, share) => ({ ...scenario, content: { ...scenario.content, [key]: share } }),
    }),
  ),
  ...keysOf<HintFault>(HINT_FAULTS).map(
    ([key, what]): NamedFault => ({
      ...{ name: `hint_${key}`, of: 'notifications', what },
      shareIn: ({ hints }) => hints?.[key] ?? 0,
      with: (scenario, share) => ({ ...scenario, hints: { ...scenario.hints, [key]: share } }),
    }),
  ),
]
