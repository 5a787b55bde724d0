// Environment variables and secrets, filled into parsed scalars: never into the text, so that no value can become YAML.
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { JsonObject } from '../plugin/json.ts'
import type { OptionSchema, OptionType } from '../plugin/options.ts'
import { looksSecret, type Report } from './problem.ts'
import { placeInScalar, plain, type ScalarTree, type Tree } from './tree.ts'

export type Env = Readonly<Record<string, string | undefined>>

/** `$${` is an escape for `${`; then what stands in braces, or a brace that is not closed. */
const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s
/** A secret file is a key or a token, no archive. */
const MAX_SECRET_BYTES = 1024 * 1024

/** Makes plain values of a file's trees, by their schemas. */
export class Filler {
  readonly #report: Report
  readonly #env: Env
  readonly #folder: string
  /** Trees whose value could not be made: no other error about them is worth saying. */
  readonly broken = new Set<Tree>()
  /** Trees with a value from outside, which no message may quote. */
  readonly filled = new Set<Tree>()

  constructor(report: Report, env: Env, folder: string) {
    this.#report = report
    this.#env = env
    this.#folder = folder
  }

  /** The tree's value. `schema` undefined: an option that nobody knows, left as it was written. */
  value(tree: Tree, schema: OptionSchema | undefined, secret = false): unknown {
    if (!schema) {
      this.#hideLooks(tree)
      return plain(tree)
    }
    const hidden = secret || schema.secret === true
    if (tree.kind === 'scalar') return this.#scalar(tree, schema, hidden)
    if (tree.kind === 'list') return tree.items.map(item => this.value(item, schema.items ?? {}, hidden))
    const { properties, additionalProperties } = schema
    const others =
      typeof additionalProperties === 'object' ? additionalProperties : properties && !additionalProperties ? undefined : {}
    const result: JsonObject = {}
    for (const [key, { value }] of tree.entries) {
      const own = properties && Object.hasOwn(properties, key) ? properties[key] : others
      if (!own) this.#hideIf(looksSecret(key), value)
      result[key] = this.value(value, own, hidden)
    }
    return result
  }

  #scalar(tree: ScalarTree, schema: OptionSchema, secret: boolean): unknown {
    this.#hideIf(secret, tree)
    const { value } = tree
    if (tree.style === 'broken') this.broken.add(tree)
    if (typeof value !== 'string' || schema.format === 'expression') {
      if (secret && value !== null) this.#report.secret(String(value))
      return value
    }
    const text = this.#filled(tree, value)
    if (text === undefined) {
      this.broken.add(tree)
      return undefined
    }
    if (secret) this.#report.secret(text)
    return text === value ? value : coerced(text, schema)
  }

  #filled(tree: ScalarTree, value: string): string | undefined {
    if (!value.includes('${')) return value
    let failed = false
    const text = value.replaceAll(
      REFERENCE,
      (whole: string, inner: string | undefined, closed: string | undefined, index: number) => {
        if (inner === undefined) return '${'
        this.filled.add(tree)
        try {
          if (!closed) throw new Error(`\${ without a } after it; write $\${ for the characters themselves`)
          return inner.startsWith('secret:') ? this.#secret(tree, inner.slice(7)) : this.#variable(inner)
        } catch (error) {
          failed = true
          const start = placeInScalar(this.#report.text, tree, index)
          this.#report.error({ start, end: Math.min(start + whole.length, tree.end) }, (error as Error).message)
          return ''
        }
      },
    )
    return failed ? undefined : text
  }

  #variable(inner: string): string {
    const [, name = '', fallback] = VARIABLE.exec(inner) ?? []
    if (!name || fallback?.includes('${')) {
      throw new Error(
        `\${${inner.split(':-')[0]}} is no environment variable: write \${NAME} or \${NAME:-default}, and $\${ for the characters themselves`,
      )
    }
    const value = this.#env[name]
    // As in a shell, the default of :- also stands in for an empty value.
    if (fallback !== undefined) return value || fallback
    if (value === undefined)
      throw new Error(`the environment variable ${name} is not set; set it, or give a default: \${${name}:-…}`)
    return value
  }

  #secret(tree: ScalarTree, source: string): string {
    if (!source.startsWith('file:') || source === 'file:') {
      throw new Error(`unknown secret \${secret:${source}}: write \${secret:file:/path/to/file}`)
    }
    const path = resolve(this.#folder, source.slice(5))
    let value: string
    try {
      const { size, mode } = statFile(path)
      if (size > MAX_SECRET_BYTES) throw new Error(`it has ${size} bytes, a secret at most ${MAX_SECRET_BYTES}`)
      if (process.platform !== 'win32' && mode & 0o004) {
        this.#report.warn(
          tree,
          `everybody on this machine can read the secret file ${path}; take that right away: chmod o-r ${path}`,
        )
      }
      value = readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    } catch (error) {
      throw new Error(`the secret file ${path} cannot be read: ${reason(error)}`)
    }
    if (value === '') throw new Error(`the secret file ${path} is empty`)
    this.#report.secret(value)
    return value
  }

  #hideIf(secret: boolean, tree: Tree): void {
    if (secret) this.#report.hide(tree)
  }

  #hideLooks(tree: Tree): void {
    if (tree.kind === 'list') for (const item of tree.items) this.#hideLooks(item)
    if (tree.kind !== 'map') return
    for (const [key, { value }] of tree.entries) {
      this.#hideIf(looksSecret(key), value)
      this.#hideLooks(value)
    }
  }
}

function statFile(path: string): { size: number; mode: number } {
  const found = statSync(path)
  if (!found.isFile()) throw new Error('it is no file')
  return found
}

function reason(error: unknown): string {
  const { code, message } = error as { code?: string; message: string }
  if (code === 'ENOENT') return 'there is no such file'
  return code === 'EACCES' ? 'this user has no right to' : message
}

/** A value from outside is text; where the option takes none, it is read as the number or bool that it spells. */
function coerced(text: string, { type }: OptionSchema): unknown {
  const types = new Set<OptionType>(typeof type === 'string' ? [type] : type)
  if (types.size === 0 || types.has('string')) return text
  const trimmed = text.trim()
  if (types.has('boolean') && /^(?:true|false)$/i.test(trimmed)) return trimmed.toLowerCase() === 'true'
  if ((types.has('integer') || types.has('number')) && /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(trimmed))
    return Number(trimmed)
  return text
}
