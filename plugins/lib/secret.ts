// A secret that is read again when its file changes.
import { readFileSync, statSync } from 'node:fs'

export interface Secret {
  /** As it was last read. */
  readonly value: string
  /** Reads its file again. True when it says something else now; false also where there is no file, or none that can be read. */
  renew(): boolean
}

/** @param file Where `value` was read from, if it was (`Site.secretFile`). */
export function secretOf(value: string, file: string | undefined): Secret {
  let now = value
  let seen = file === undefined ? '' : stampOf(file)
  return {
    get value() {
      return now
    },
    renew() {
      if (file === undefined) return false
      const stamp = stampOf(file)
      if (stamp === seen || stamp === '') return false
      try {
        const text = readFileSync(file, 'utf8').replace(/\r?\n$/, '')
        seen = stamp
        if (text === '' || text === now) return false
        now = text
        return true
      } catch {
        // Whoever renews it has taken the old one away: the next look finds the new one.
        return false
      }
    },
  }
}

/** Changes with the file; secrets that are mounted change by a link that is put in another one's place. */
function stampOf(path: string): string {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true })
    return `${ino}/${size}/${mtimeNs}`
  } catch {
    return ''
  }
}
