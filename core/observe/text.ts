// Text from outside, made fit to be shown.

/** Control characters (a newline in a path, an escape sequence in a user's name) become visible instead of doing what they say. */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
