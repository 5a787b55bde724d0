// "did you mean …": the nearest of a few names.

/** `; did you mean NAME?` for the name that is near enough to what was written, else nothing. */
export function didYouMean(written: string, names: Iterable<string>): string {
  const name = nearest(written, names)
  return name === undefined ? '' : `; did you mean ${name}?`
}

/** The nearest name: at most one edit for each three characters, at least one; upper case, - and _ make no difference. */
export function nearest(written: string, names: Iterable<string>): string | undefined {
  const plain = simple(written)
  const most = Math.max(1, Math.floor(plain.length / 3))
  let best: string | undefined
  let least = most + 1
  for (const name of names) {
    if (name === written) continue
    const edits = distance(plain, simple(name), least)
    if (edits < least) {
      least = edits
      best = name
    }
  }
  if (best !== undefined) return best
  // A name cut short or with too much at its end: `retries` for `max_retries`, `compress` for `compression`.
  if (plain.length < 4) return undefined
  return [...names].find(
    name => name !== written && (simple(name).includes(plain) || (name.length > 3 && plain.includes(simple(name)))),
  )
}

function simple(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '')
}

/** Edits from one text to another: insert, delete, replace, swap of neighbours. Gives up at `limit`. */
function distance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let edits = Math.min((last[j] as number) + 1, (row[j - 1] as number) + 1, (last[j - 1] as number) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits = Math.min(edits, (before[j - 2] as number) + 1)
      row.push(edits)
    }
    before = last
    last = row
  }
  return last[b.length] as number
}
