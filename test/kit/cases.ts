// The contract kit's cases: data in test/fixtures/<kind>s/<name>.yaml, run against the plugin of that name.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import type { Kind } from '../../core/plugin/define.ts'
import type { JsonObject } from '../../core/plugin/json.ts'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Case {
  readonly name: string
  readonly options?: JsonObject
  /** Written to the step's folder first. */
  readonly files?: Readonly<Record<string, string>>
  /** A part of the message with which the options are refused. */
  readonly error?: string
  // filters, inputs, outputs
  readonly input?: JsonObject | readonly JsonObject[]
  readonly output?: JsonObject | readonly JsonObject[] | null
  readonly meta?: JsonObject
  readonly tables?: readonly JsonObject[]
  readonly duplicates?: number
  readonly dead_letter?: string
  readonly dead_letters?: readonly string[]
  // codecs: the stream in one of three spellings
  readonly text?: string
  readonly hex?: string
  readonly base64?: string
  readonly events?: readonly JsonObject[]
  // inputs
  readonly count?: number
  readonly stdin?: string
  readonly codec?: unknown
  // outputs
  readonly stdout?: string
  // tables
  readonly lookups?: Readonly<Record<string, JsonObject | null>>
}

export function casesFile(kind: Kind, name: string): string {
  return join(root, 'test/fixtures', `${kind}s`, `${name}.yaml`)
}

/** The cases of a plugin; undefined where there is no file. */
export function casesOf(kind: Kind, name: string): readonly Case[] | undefined {
  const file = casesFile(kind, name)
  return existsSync(file) ? (parse(readFileSync(file, 'utf8'), { merge: true }) as Case[]) : undefined
}

/** A folder of the case's own, with its files and the pipeline. */
export function folderOf(
  t: Test,
  { files = {} }: Case,
  pipeline: JsonObject,
): { readonly folder: string; readonly file: string } {
  const folder = t.testdir({})
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const file = join(folder, 'pipeline.yaml')
  writeFileSync(file, stringify(pipeline))
  return { folder, file }
}

export function list<T>(value: T | readonly T[] | null | undefined): readonly T[] {
  if (value === undefined || value === null) return []
  return Array.isArray(value) ? value : [value as T]
}
