// Finds where records go on behind JSON text that is broken.
import { NEWLINE, OPEN_BRACE, SPACE, TAB } from './bytes.ts'

/**
 * The next line, from `from` on, that begins as records do: `column` blanks, then a brace. `at` is the newline before it. When
 * none is found `at` is the view's end, or a newline behind which too little is there to know.
 */
export function nextRecordLine(view: Buffer, from: number, column: number): { at: number; found: boolean } {
  for (let newline = view.indexOf(NEWLINE, from); newline >= 0; newline = view.indexOf(NEWLINE, newline + 1)) {
    const brace = newline + 1 + column
    let i = newline + 1
    while (i < brace && i < view.length && (view[i] === SPACE || view[i] === TAB)) i++
    if (i === view.length) return { at: newline, found: false }
    if (i === brace && view[i] === OPEN_BRACE) return { at: newline, found: true }
  }
  return { at: view.length, found: false }
}
