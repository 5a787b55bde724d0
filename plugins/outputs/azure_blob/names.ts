// Names of blobs: what event values may do to them, and the part that keeps two engines, and two batches, from sharing one.
import type { TemplateRules } from '../../lib/template.ts'

/** Characters that a blob's name has at most, and names between slashes (Azure Storage, naming and referencing blobs). */
const LONGEST = 1024
const MOST_SEGMENTS = 254
/** Control characters, and what some clients take for a slash. */
const NEVER = /[\0-\x1f\x7f-\x9f\\]/

/** Characters that `appended` and `dated` add to a name. */
export const SUFFIX_CHARACTERS = '.20260501T101530123Z-abcdefgh-000001'.length

/** `text` up to and with its last slash; '' where it has none. */
function folderOf(text: string): string {
  return text.slice(0, text.lastIndexOf('/') + 1)
}

/** The rules for a template of names: events choose names below the folder before the first place, and nothing else. */
export const NAME_RULES: TemplateRules = {
  code: 'PEN_BLOB_NAME',
  prefix(literalPrefix, values) {
    if (NEVER.test(literalPrefix)) return 'holds a control character or a backslash'
    if (values && !/[^/]/.test(folderOf(literalPrefix)))
      return 'needs a folder before its first %{…}, such as audit/%{…}: events choose names below it only'
    return undefined
  },
  value(value, literalPrefix) {
    return value.includes('/')
      ? `is not one name: it leaves ${folderOf(literalPrefix)}, or a folder that the template says`
      : undefined
  },
  rendered(text, literalPrefix) {
    const folder = folderOf(literalPrefix)
    const odd = NEVER.exec(text)
    if (odd) return `leaves ${folder}: ${JSON.stringify(odd[0])} must not be part of a name`
    const names = text.split('/')
    if (names.length > MOST_SEGMENTS) return `has ${names.length} names between slashes, and ${MOST_SEGMENTS} are allowed`
    for (const name of names) {
      if (name === '' || name === '.' || name === '..') return `leaves ${folder}: "${name}" is no name`
      if (name.endsWith('.')) return `leaves ${folder}: "${name.slice(0, 200)}" ends in a dot`
      if (!name.isWellFormed()) return `leaves ${folder}: a name holds half a character (a lone surrogate)`
    }
    const room = LONGEST - SUFFIX_CHARACTERS
    return text.length > room ? `leaves ${folder}: it has ${text.length} characters, and ${room} are allowed` : undefined
  },
}

/** `audit.ndjson.gz` → `audit.` … `.ndjson.gz`: endings stay, so that whoever lists the blobs still knows them. */
function withPart(name: string, part: string): string {
  const endings = /(?<=[^/])(?:\.[A-Za-z]\w{0,9})?(?:\.(?:gz|zst))?$/.exec(name)?.[0] ?? ''
  return `${name.slice(0, name.length - endings.length)}.${part}${endings}`
}

/** The name of the append blob with this number: `audit.k3x9q2ab-0001.ndjson`. */
export function appended(name: string, writer: string, number: number): string {
  return withPart(name, `${writer}-${String(number).padStart(4, '0')}`)
}

/** The name of a batch's own blob: `audit.20260501T101530123Z-k3x9q2ab-000001.ndjson`; sorts by time. */
export function dated(name: string, writer: string, time: number, number: number): string {
  const stamp = new Date(time).toISOString().replace(/[-:.]/g, '')
  return withPart(name, `${stamp}-${writer}-${String(number).padStart(6, '0')}`)
}
