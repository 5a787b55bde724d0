// The header Retry-After.

/** Milliseconds that a `Retry-After` asks for: seconds or an HTTP date (RFC 9110, 10.2.3); undefined where it says nothing. */
export function waitOf(retryAfter: string | undefined, now: number): number | undefined {
  if (retryAfter === undefined) return undefined
  if (/^\s*\d+(\.\d+)?\s*$/.test(retryAfter)) return Number(retryAfter) * 1000
  const date = Date.parse(retryAfter)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
