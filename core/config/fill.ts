// Environment variables and secrets, filled into parsed scalars: never into the text, so that no value can become YAML.
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { asError, errorCode } from '../plugin/errors.ts'
import type { Report } from './problem.ts'
import { placeInScalar, type ScalarTree } from './tree.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** `$${` is an escape for `${`; then what stands in braces, or a brace that is not closed. */
const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s
/** A secret file is a key or a token, no archive. */
const MAX_SECRET_BYTES = 1024 * 1024

export class Filler {
  readonly #report: Report
  readonly #env: Env
  readonly #folder: string
  /** Values that are the whole of a secret file → its path: whoever uses one may want to know when it changes. */
  readonly secretFiles = new Map<string, string>()

  constructor(report: Report, env: Env, folder: string) {
    this.#report = report
    this.#env = env
    this.#folder = folder
  }

  /** The text with every reference in it filled; undefined when one cannot be, which is reported. */
  fill(tree: ScalarTree, text: string): string | undefined {
    let failed = false
    const filled = text.replaceAll(REFERENCE, (whole: string, inner: string | undefined, closed: string, index: number) => {
      if (inner === undefined) return '${'
      try {
        if (!closed) throw new Error(`\${ without a } after it; write $\${ for the characters themselves`)
        return inner.startsWith('secret:') ? this.#secret(tree, inner.slice(7)) : this.#variable(inner)
      } catch (error) {
        failed = true
        if (this.#report.crowded) return ''
        const start = placeInScalar(this.#report.text, tree, index)
        this.#report.error({ start, end: Math.min(start + whole.length, tree.end) }, asError(error).message)
        return ''
      }
    })
    return failed ? undefined : filled
  }

  #variable(inner: string): string {
    const [, name = '', fallback] = VARIABLE.exec(inner) ?? []
    if (!name || fallback?.includes('${')) {
      const written = inner.split(':-')[0]
      throw new Error(
        `\${${written}} is no environment variable: write \${NAME} or \${NAME:-default}, and $\${ for the characters themselves`,
      )
    }
    const value = this.#env[name]
    // As in a shell, the default of :- also stands in for an empty value.
    if (fallback !== undefined) return value || fallback
    if (value !== undefined) return value
    throw new Error(`the environment variable ${name} is not set; set it, or give a default: \${${name}:-…}`)
  }

  #secret(tree: ScalarTree, source: string): string {
    if (!/^file:./.test(source)) throw new Error(`unknown secret \${secret:${source}}: write \${secret:file:/path/to/file}`)
    const path = resolve(this.#folder, source.slice(5))
    let value: string
    try {
      const stat = statSync(path)
      if (!stat.isFile()) throw new Error('it is no file')
      if (stat.size > MAX_SECRET_BYTES) throw new Error(`it has ${stat.size} bytes, a secret at most ${MAX_SECRET_BYTES}`)
      if (process.platform !== 'win32' && stat.mode & 0o004) {
        const advice = `take that right away: chmod o-r ${path}`
        this.#report.warn(tree, `everybody on this machine can read the secret file ${path}; ${advice}`)
      }
      value = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    } catch (error) {
      throw new Error(`the secret file ${path} cannot be read: ${readFailure(error)}`)
    }
    if (value === '') throw new Error(`the secret file ${path} is empty`)
    this.#report.secret(value)
    this.secretFiles.set(value, path)
    return value
  }
}

/** Why a file could not be read. */
export function readFailure(thrown: unknown): string {
  const error = asError(thrown)
  const code = errorCode(error)
  if (code === 'ENOENT') return 'there is no such file'
  return code === 'EACCES' ? 'this user has no right to' : error.message
}
