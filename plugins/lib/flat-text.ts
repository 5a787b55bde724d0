// Parts and joins of texts that are strings of their own. V8 makes a slice a view of the text and a join a pair of both; one such string
// anywhere in a document makes JSON.stringify leave its fast path, which costs more than the mapping of a whole record.

/** Shorter strings are copied anyhow. */
const VIEW = 13

/** `text.slice(start, end)` as a string of its own; both are indices within the text. */
export function cut(text: string, start: number, end: number = text.length): string {
  if (end - start < VIEW || (start === 0 && end === text.length)) return text.slice(start, end)
  return join(text.slice(start, start + 1), text.slice(start + 1, end))
}

/** `one + two` as a string of its own. */
export function join(one: string, two: string): string {
  return [one, two].join('')
}
