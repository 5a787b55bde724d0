// Bytes that text formats are cut by.

export const TAB = 0x09
export const NEWLINE = 0x0a
export const RETURN = 0x0d
export const SPACE = 0x20
export const QUOTE = 0x22
export const COMMA = 0x2c
export const COLON = 0x3a
export const OPEN_BRACKET = 0x5b
export const BACKSLASH = 0x5c
export const CLOSE_BRACKET = 0x5d
export const OPEN_BRACE = 0x7b
export const CLOSE_BRACE = 0x7d

/** True for a UTF-8 byte order mark at `from`. */
export function hasBom(view: Uint8Array, from: number, to: number): boolean {
  return to - from >= 3 && view[from] === 0xef && view[from + 1] === 0xbb && view[from + 2] === 0xbf
}

/** True when the range is empty or holds only spaces and tabs. */
export function isBlank(view: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (view[i] !== SPACE && view[i] !== TAB) return false
  return true
}
