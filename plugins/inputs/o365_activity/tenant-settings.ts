// What is set for one tenant, options of its own and those of all put together.

export interface TenantSettings {
  readonly tenantId: string
  /** What logs, metrics and events call it: its name, or its id. */
  readonly label: string
  readonly name: string | undefined
  readonly api: string
  readonly publisher: string
  readonly contentTypes: readonly string[]
  readonly requestsPerMinute: number
  /** How far back the first listing goes; a time, or the time before the first start. Milliseconds. */
  readonly since: { readonly at: number } | { readonly ago: number }
  /** Content made from this time on is left alone, and the input ends before it; a time, or the time before each start. Milliseconds. */
  readonly until: { readonly at: number } | { readonly ago: number } | undefined
  readonly pollMs: number
  readonly overlapMs: number
  readonly sweepMs: number
  /** So long after it was made a blob that was read before is read once more; 0: never. */
  readonly lookAgainMs: number
  readonly parallel: number
  readonly maxBlobBytes: number
  readonly keepMatchedValues: boolean
  /** How often an event tells how complete the tenant is; undefined: never. Milliseconds. */
  readonly tellMs: number | undefined
}
