// What event values may do to the path of a file: choose names below the template's literal folder, and nothing else.
import process from 'node:process'
import type { TemplateRules } from '../../lib/template.ts'

/** Bytes of one name that file systems take. */
const NAME_BYTES = 255
/** Control characters end or hide names; a colon or backslash is a stream, a drive or a separator on Windows. */
const NEVER = /[\0-\x1f\x7f-\x9f\\:]/
/** Names that Windows gives to devices, also with an ending, and names that it shortens. */
const WINDOWS_ONLY = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)|[. ]$/i

/** `path` up to and with its last slash; '' where it has none. */
export function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}

/** The rules for a path template. `suffixBytes` is the room to leave in the last name, for what a rotation adds to it. */
export function pathRules(suffixBytes: number, windows: boolean = process.platform === 'win32'): TemplateRules {
  return {
    code: 'PEN_PATH',
    prefix(literalPrefix, values) {
      if (/[\0-\x1f\x7f]/.test(literalPrefix)) return 'holds a control character'
      const names = folderOf(literalPrefix)
        .split('/')
        .filter(name => name !== '' && name !== '.')
      if (values && names.length === 0)
        return 'needs a folder before its first %{…}, such as out/%{…}: events choose names below it only'
      return undefined
    },
    value(value, literalPrefix) {
      return value.includes('/')
        ? `is not one name: the path leaves ${folderOf(literalPrefix)}, or a folder that the template says`
        : undefined
    },
    rendered(text, literalPrefix) {
      const folder = folderOf(literalPrefix)
      const below = text.slice(folder.length)
      const odd = NEVER.exec(below)
      if (odd) return `leaves ${folder}: ${JSON.stringify(odd[0])} must not be part of a name`
      const names = below.split('/')
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string
        if (name === '' || name === '.' || name === '..') return `leaves ${folder}: "${name}" is no name`
        if (windows && WINDOWS_ONLY.test(name)) return `leaves ${folder}: "${name.slice(0, 200)}" is no name of a file on Windows`
        if (!name.isWellFormed()) return `leaves ${folder}: a name holds half a character (a lone surrogate)`
        const room = i < names.length - 1 ? NAME_BYTES : NAME_BYTES - suffixBytes
        if (name.length * 3 > room && Buffer.byteLength(name) > room) {
          return `leaves ${folder}: a name has ${Buffer.byteLength(name)} bytes, and ${room} are allowed`
        }
      }
      return undefined
    },
  }
}
