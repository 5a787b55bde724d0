// Checks values against their schemas with ajv, and says what is wrong in Penstock's words, with the place in the file.
import type { ErrorObject, ValidateFunction } from 'ajv'
import type { JsonObject } from '../plugin/json.ts'
import type { OptionSchema, OptionSchemas } from '../plugin/options.ts'
import { expected, given, rightly, unitOf } from './describe.ts'
import type { Filler } from './fill.ts'
import { toJsonSchema } from './json-schema.ts'
import type { Report } from './problem.ts'
import { didYouMean } from './suggest.ts'
import { follow, type MapTree, type Place, type Tree } from './tree.ts'

/** What a check is about: for messages (`the input file`), and for what is added to `there are no other options`. */
export interface Subject {
  /** `the input file`, `the pipeline`. */
  readonly name: string
  /** Where something that is missing is reported. */
  readonly place: Place
}

type Compile = (schema: JsonObject) => ValidateFunction
let compile: Promise<Compile> | undefined
/** By the object that holds the schemas: a plugin's options, for all pipelines of the process. */
const validators = new WeakMap<OptionSchemas, ValidateFunction>()

async function compiler(): Promise<Compile> {
  // Without the meta-schema: ours are made by code, and checking them would double the time.
  const { Ajv } = await import('ajv')
  const ajv = new Ajv({
    allErrors: true,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    allowUnionTypes: true,
    validateFormats: false,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
  })
  return schema => ajv.compile(schema)
}

/** Loads ajv while other things are under way. */
export function prepare(): Promise<unknown> {
  compile ??= compiler()
  return compile
}

/** The errors of a value; empty when it is as it must be. `open`: other keys are somebody else's. */
export async function check(value: unknown, properties: OptionSchemas, open = false): Promise<readonly ErrorObject[]> {
  compile ??= compiler()
  let validate = validators.get(properties)
  if (!validate) {
    validate = (await compile)(toJsonSchema(properties, open))
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
  /** One mistake is one problem: a wrong type is not outside of an enum too. */
  const said = new Set<Tree>()
  for (const error of [...errors].sort((a, b) => rank(a) - rank(b))) {
    const path = segments(error.instancePath)
    const at = follow(tree, path)
    if (filler.broken.has(at)) continue
    if (error.keyword === 'required') {
      const name = (error.params as { missingProperty: string }).missingProperty
      if (at.kind === 'map' && at.entries.has(name)) continue
      wrong = true
      const option = schemaAt(schema, path)?.properties?.[name]
      const about = path.length === 0 ? subject.name : pathText(path)
      report.error(
        at === tree ? subject.place : at,
        `${about} needs ${name}${option?.description ? `: ${option.description}` : ''}`,
      )
      continue
    }
    if (error.keyword === 'additionalProperties') {
      wrong = true
      unknownKey(
        report,
        at as MapTree,
        (error.params as { additionalProperty: string }).additionalProperty,
        schemaAt(schema, path),
        subject,
        path,
      )
      continue
    }
    if (said.has(at)) continue
    said.add(at)
    wrong = true
    report.error(at, sentence(error, at, path, schemaAt(schema, path) ?? {}, filler))
  }
  return !wrong
}

/** Types first, then what a value of the right type can get wrong. */
function rank({ keyword }: ErrorObject): number {
  return keyword === 'type' ? 0 : keyword === 'enum' ? 1 : 2
}

function segments(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** A path as it is written in messages: `tenants[0].client_id`. */
function pathText(path: readonly string[]): string {
  return path.map((part, index) => (/^\d+$/.test(part) && index > 0 ? `[${part}]` : `${index > 0 ? '.' : ''}${part}`)).join('')
}

/** The schema of what a path leads to. */
function schemaAt(schema: OptionSchema, path: readonly string[]): OptionSchema | undefined {
  let at: OptionSchema | undefined = schema
  for (const part of path) {
    const { properties, items, additionalProperties }: OptionSchema = at ?? {}
    if (properties && Object.hasOwn(properties, part)) at = properties[part]
    else at = items && /^\d+$/.test(part) ? items : typeof additionalProperties === 'object' ? additionalProperties : undefined
  }
  return at
}

function unknownKey(
  report: Report,
  tree: MapTree,
  key: string,
  schema: OptionSchema | undefined,
  subject: Subject,
  path: readonly string[],
): void {
  const names = Object.keys(schema?.properties ?? {})
  const free = names.filter(name => !tree.entries.has(name))
  const guess = didYouMean(key, free)
  const about = path.length === 0 ? subject.name : pathText(path)
  const others = names.length === 0 ? `; ${about} has no options` : names.length <= 12 ? `; ${about} has ${names.join(', ')}` : ''
  report.error(tree.entries.get(key)?.key ?? tree, `unknown option ${key}${guess || others}`)
}

function sentence(error: ErrorObject, tree: Tree, path: readonly string[], schema: OptionSchema, filler: Filler): string {
  const name = pathText(path) || 'it'
  const quoted = filler.filled.has(tree) || schema.secret
  const not = quoted ? '' : `, not ${given(tree)}`
  const unit = unitOf(path)
  switch (error.keyword) {
    case 'type':
      return `${name} must be ${expected(schema, unit)}${not}${quoted ? '' : rightly(tree, schema, unit)}`
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
