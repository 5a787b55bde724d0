// Checks values against their schemas with ajv, and says what is wrong in Penstock's words, with the place in the file.
import type { ErrorObject, ValidateFunction } from 'ajv'
import type { JsonObject } from '../plugin/json.ts'
import type { OptionSchema, OptionSchemas } from '../plugin/options.ts'
import { expected, given, rightly, unitOf } from './describe.ts'
import type { Filler } from './fill.ts'
import { fits } from './fits.ts'
import { toJsonSchema } from './json-schema.ts'
import type { Report } from './problem.ts'
import { didYouMean, nearest } from './suggest.ts'
import { follow, type MapTree, type Place, type Tree } from './tree.ts'

/** What a check is about: for messages (`the input file`), and for what is added to `there are no other options`. */
export interface Subject {
  /** `the input file`, `the pipeline`. */
  readonly name: string
  /** Where something that is missing is reported. */
  readonly place: Place
}

type Compile = (schema: JsonObject) => ValidateFunction
let compile: Compile | undefined
/** By the object that holds the schemas: a plugin's options, for all pipelines of the process. */
const validators = new WeakMap<OptionSchemas, ValidateFunction>()

async function compiler(): Promise<Compile> {
  const { Ajv } = await import('ajv')
  const ajv = new Ajv({
    allErrors: true,
    allowUnionTypes: true,
    strictTypes: false,
    validateFormats: false,
    // Our schemas are made by code: checking them too would double the time.
    meta: false,
    validateSchema: false,
  })
  return schema => ajv.compile(schema)
}

/** ajv's errors about a value; empty when it is as it must be. `open`: other keys are somebody else's. */
export async function check(value: JsonObject, properties: OptionSchemas, open = false): Promise<readonly ErrorObject[]> {
  if (fits(value, { type: 'object', properties, additionalProperties: open })) return []
  let validate = validators.get(properties)
  if (!validate) {
    compile ??= await compiler()
    validate = compile(toJsonSchema(properties, open))
    validators.set(properties, validate)
  }
  return validate(value) ? [] : (validate.errors ?? [])
}

/** Checks the value of a tree and reports what is wrong. False when something is. */
export async function validate(
  report: Report,
  filler: Filler,
  tree: MapTree,
  value: JsonObject,
  properties: OptionSchemas,
  subject: Subject,
  open = false,
): Promise<boolean> {
  const errors = await check(value, properties, open)
  const schema: OptionSchema = { type: 'object', properties }
  let wrong = false
  const say = (place: Place, message: string) => {
    wrong = true
    report.error(place, message)
  }
  /** One mistake is one problem: a wrong type is not outside of an enum too, and a misspelt option is not missing. */
  const said = new Set<Tree>()
  const meant = new Map<Tree, Set<string>>()
  for (const error of [...errors].sort((a, b) => rank(a) - rank(b))) {
    const path = segments(error.instancePath)
    const at = follow(tree, path)
    const about = path.length === 0 ? subject.name : pathText(path)
    if (filler.broken.has(at)) continue
    if (error.keyword === 'additionalProperties' && at.kind === 'map') {
      const key = (error.params as { additionalProperty: string }).additionalProperty
      const names = Object.keys(schemaAt(schema, path)?.properties ?? {}).filter(name => !at.entries.has(name))
      const guess = nearest(key, names)
      if (guess) meant.set(at, (meant.get(at) ?? new Set()).add(guess))
      say(at.entries.get(key)?.key ?? at, `unknown option ${key}${guess ? `; did you mean ${guess}?` : others(about, names)}`)
    } else if (error.keyword === 'required' && at.kind === 'map') {
      const name = (error.params as { missingProperty: string }).missingProperty
      if (at.entries.has(name) || meant.get(at)?.has(name)) continue
      const description = schemaAt(schema, path)?.properties?.[name]?.description
      say(path.length === 0 ? subject.place : at, `${about} needs ${name}${description ? `: ${description}` : ''}`)
    } else if (!said.has(at)) {
      said.add(at)
      say(at, sentence(error, at, path, schemaAt(schema, path) ?? {}, filler))
    }
  }
  return !wrong
}

const RANKS: Readonly<Record<string, number>> = { additionalProperties: 0, required: 1, type: 2, enum: 3 }
function rank({ keyword }: ErrorObject): number {
  return RANKS[keyword] ?? 4
}

function segments(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** A path as it is written in messages: `tenants[0].client_id`. */
export function pathText(path: readonly string[]): string {
  return path.map((part, index) => (/^\d+$/.test(part) && index > 0 ? `[${part}]` : `${index > 0 ? '.' : ''}${part}`)).join('')
}

/** The schema of what a path leads to. */
function schemaAt(schema: OptionSchema, path: readonly string[]): OptionSchema | undefined {
  let at: OptionSchema | undefined = schema
  for (const part of path) {
    at = below(at ?? {}, part)
  }
  return at
}

function below({ properties, items, additionalProperties }: OptionSchema, part: string): OptionSchema | undefined {
  if (properties && Object.hasOwn(properties, part)) return properties[part]
  if (items && /^\d+$/.test(part)) return items
  return typeof additionalProperties === 'object' ? additionalProperties : undefined
}

function others(about: string, names: readonly string[]): string {
  if (names.length === 0) return `; ${about} has no others`
  return names.length <= 12 ? `; ${about} also takes ${names.join(', ')}` : ''
}

function sentence(error: ErrorObject, tree: Tree, path: readonly string[], schema: OptionSchema, filler: Filler): string {
  const name = pathText(path) || 'it'
  const quoted = filler.filled.has(tree) || schema.secret === true
  const not = quoted ? '' : `, not ${given(tree)}`
  const unit = unitOf(path)
  switch (error.keyword) {
    case 'type':
      return `${name} must be ${expected(schema, unit)}${not}${rightly(tree, schema, unit, quoted)}`
    case 'enum': {
      const values = (schema.enum ?? []).map(String)
      const guess = quoted || tree.kind !== 'scalar' ? '' : didYouMean(String(tree.value), values)
      return `${name} must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}${not}${guess}`
    }
    case 'minimum':
    case 'maximum': {
      const { minimum, maximum } = schema
      const bounds =
        minimum === undefined
          ? `at most ${maximum}`
          : maximum === undefined
            ? `at least ${minimum}`
            : `from ${minimum} to ${maximum}`
      return `${name} must be ${bounds}${unit ? ` ${unit}` : ''}${not}`
    }
    case 'minLength':
      return schema.minLength === 1 ? `${name} must not be empty` : `${name} must have at least ${schema.minLength} characters`
    case 'minItems':
      return schema.minItems === 1
        ? `${name} must have at least one entry`
        : `${name} must have at least ${schema.minItems} entries`
    case 'pattern':
      if (schema.pattern === '^[a-z0-9][a-z0-9_-]*$')
        return `${name} takes the characters a-z, 0-9, _ and -, and begins with a letter or digit${not}`
      return `${name} must match ${schema.pattern}${not}`
    default:
      return `${name} ${error.message ?? 'is wrong'}`
  }
}
