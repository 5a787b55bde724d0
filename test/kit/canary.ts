// Secrets that nothing may ever show: every run of the program is given one, and what it says and leaves is searched for them.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Stands in every canary, and nowhere else: put together here, so that a search does not find this file either. */
export const MARK = ['qX7vKz', '4mTw9'].join('')

/** The variable that every run has in its environment: options that are secrets take it as `${PENSTOCK_CANARY}`. */
export const CANARY_VARIABLE = 'PENSTOCK_CANARY'

/** A secret to plant; the kind says afterwards which one got out. */
export function canary(kind: string): string {
  return `canary-${kind}-${MARK}`
}

/** What a test plants itself (a secret file, a record with matched values) goes into a folder of this name, which is not searched. */
export const PLANTED = 'planted'

/** The mark as text and, wherever in it the canary begins, as base64: escaped in JSON or a URL it stays what it is. */
const FORMS = [MARK, ...[0, 1, 2].map(before => inBase64(before))]

/** The part of the mark's base64 that does not hang on what stands around it; `before`: how many bytes precede it. */
function inBase64(before: number): string {
  const text = Buffer.from(`${'-'.repeat(before)}${MARK}`)
    .toString('base64')
    .replace(/=+$/, '')
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + MARK.length) * 8) / 6))
}

/** What stands before a canary in this text, the mark itself left out; undefined where there is none. */
export function findCanary(text: string): string | undefined {
  for (const form of FORMS) {
    const at = text.indexOf(form)
    if (at < 0) continue
    const before = FORMS.reduce((shown, other) => shown.replaceAll(other, '***'), text.slice(Math.max(0, at - 80), at))
    return JSON.stringify(`${before}***`)
  }
  return undefined
}

/**
 * The files below a folder that hold a canary. Another process reads them: opening a database's file here would take away the locks
 * that this process has on it.
 */
export async function filesWithCanary(folder: string): Promise<string[]> {
  // A whole checkout is no folder that a run has left.
  if (!existsSync(folder) || existsSync(join(folder, 'node_modules'))) return []
  const patterns = FORMS.flatMap(form => ['-e', form])
  const args = ['-rlaF', '-D', 'skip', `--exclude-dir=${PLANTED}`, ...patterns, folder]
  return new Promise(resolve => {
    let found = ''
    const grep = spawn('grep', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    grep.stdout.setEncoding('utf8').on('data', (text: string) => {
      found += text
    })
    // Without grep (Windows) only what the runs said is searched.
    grep.on('error', () => resolve([]))
    // Its exit code says little: files vanish while it reads.
    grep.on('close', () => resolve(found.split('\n').filter(Boolean)))
  })
}

/** Where canaries got out: in what a run said, or in a file below its folder. Sentences that hold no canary themselves. */
export async function leaks(folder: string, said: Readonly<Record<string, string>>): Promise<string[]> {
  const wrong: string[] = []
  for (const [name, text] of Object.entries(said)) {
    const place = findCanary(text)
    if (place !== undefined) wrong.push(`a secret stands in ${name}, behind ${place}`)
  }
  for (const file of await filesWithCanary(folder)) wrong.push(`a secret stands in ${file}`)
  return wrong
}
