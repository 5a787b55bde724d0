// What a process takes while it runs, sample by sample, and whether that grows.

export interface Sample {
  /** Since the process was started. Milliseconds. */
  readonly at: number
  readonly values: Readonly<Record<string, number>>
}

/** A figure that is watched: its value in a sample, and the least growth over a whole window that is worth a word. */
export interface Watched {
  readonly name: string
  readonly unit: string
  readonly floor: number
}

export const WATCHED: readonly Watched[] = [
  { name: 'RSS', unit: 'MB', floor: 16 },
  { name: 'heap in use', unit: 'MB', floor: 8 },
  { name: 'handles and requests', unit: '', floor: 8 },
  { name: 'open files', unit: '', floor: 8 },
  { name: 'state folder', unit: 'MB', floor: 8 },
]

/** A shorter window says nothing: a young process still fills its pools. Milliseconds. */
const LEAST_WINDOW_MS = 120_000
/** Growth over the window that is more than this share of the mean is no noise. */
const SHARE = 0.1

export interface Trend {
  readonly first: number
  readonly median: number
  readonly most: number
  readonly last: number
  /** Least squares, per hour. */
  readonly slope: number
  readonly verdict: 'flat' | 'GROWS' | 'too short to tell'
}

/**
 * A figure grows when two things hold. The line through its samples gains more than a tenth of their mean over the window, and more
 * than the floor. And in each quarter of the window its lowest sample is higher than in the one before: garbage that is collected late
 * makes saw teeth, which come down again, and a pool that was filled later than others a step; what leaks does neither.
 */
export function trendOf({ name, floor }: Watched, samples: readonly Sample[]): Trend {
  const points = samples.map(({ at, values }) => ({ at, value: values[name] ?? Number.NaN })).filter(({ value }) => value >= 0)
  const values = points.map(({ value }) => value)
  const sorted = [...values].sort((a, b) => a - b)
  const slope = leastSquares(points)
  const window = (points.at(-1)?.at ?? 0) - (points[0]?.at ?? 0)
  const quarter = values.length / 4
  const lowest = [0, 1, 2, 3].map(n => Math.min(...values.slice(Math.floor(n * quarter), Math.floor((n + 1) * quarter))))
  const rises = lowest.slice(1).every((value, n) => value - (lowest[n] as number) > floor / 8)
  const gained = slope * window
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const grows = gained > Math.max(floor, mean * SHARE) && rises
  return {
    first: values[0] ?? Number.NaN,
    median: sorted[sorted.length >> 1] ?? Number.NaN,
    most: sorted.at(-1) ?? Number.NaN,
    last: values.at(-1) ?? Number.NaN,
    slope: slope * 3_600_000,
    verdict: window < LEAST_WINDOW_MS ? 'too short to tell' : grows ? 'GROWS' : 'flat',
  }
}

/** Per millisecond. */
function leastSquares(points: readonly { readonly at: number; readonly value: number }[]): number {
  const count = points.length
  const meanAt = points.reduce((sum, { at }) => sum + at, 0) / count
  const mean = points.reduce((sum, { value }) => sum + value, 0) / count
  let over = 0
  let under = 0
  for (const { at, value } of points) {
    over += (at - meanAt) * (value - mean)
    under += (at - meanAt) ** 2
  }
  return under > 0 ? over / under : Number.NaN
}

/** Figures of a /metrics answer, by name; those with labels are added up. */
export function metricsIn(text: string): Map<string, number> {
  const found = new Map<string, number>()
  for (const [, name = '', value] of text.matchAll(/^(\w+)(?:\{.*\})? (\S+)$/gm))
    found.set(name, (found.get(name) ?? 0) + Number(value))
  return found
}
