// The schema of a plugin's options: a subset of JSON Schema, and the TypeScript types that follow from it.
import type { JsonObject } from './json.ts'

interface Described {
  /** What it does, in one sentence without a final full stop. Becomes the editor's hint and the reference page. */
  readonly description: string
}

/** One option's schema. Every keyword but `required`, `secret` and `format` is JSON Schema's own. */
export interface OptionSchema {
  readonly type?: OptionType | readonly OptionType[]
  readonly description?: string
  readonly default?: unknown
  /** This option must be given (JSON Schema lists such names beside `properties`; here they stand with the option). */
  readonly required?: true
  /** Never printed: not in a log, an error, a source line or the output of `check`. */
  readonly secret?: true
  /**
   * expression: CEL, compiled at `check`. field: a field path such as `source.ip` or `labels["a.b"]`.
   * path: a file or folder (absolute after loading: relative paths of inputs, filters and tables count from the pipeline file's
   * folder, those of outputs from the working folder). glob: the same with wildcards; stays as written, see Site.folder.
   */
  readonly format?: 'expression' | 'field' | 'path' | 'glob'
  readonly enum?: readonly (string | number | boolean)[]
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly pattern?: string
  readonly items?: OptionSchema
  readonly minItems?: number
  readonly properties?: Readonly<Record<string, OptionSchema>>
  readonly additionalProperties?: boolean | OptionSchema
}
export type OptionType = 'string' | 'integer' | 'number' | 'boolean' | 'object' | 'array' | 'null'

/** A plugin's options by name; each must have a description. */
export type OptionSchemas = Readonly<Record<string, OptionSchema & Described>>

type OfType<S, T> = T extends 'string'
  ? string
  : T extends 'integer' | 'number'
    ? number
    : T extends 'boolean'
      ? boolean
      : T extends 'null'
        ? null
        : T extends 'array'
          ? S extends { items: infer I }
            ? OptionValue<I>[]
            : unknown[]
          : T extends 'object'
            ? S extends { properties: infer P }
              ? OptionValues<P>
              : S extends { additionalProperties: infer A extends object }
                ? Record<string, OptionValue<A>>
                : JsonObject
            : never

/** The TypeScript type of a value that one option schema allows. */
export type OptionValue<S> = S extends { enum: readonly (infer E)[] }
  ? E
  : S extends { type: readonly (infer T)[] }
    ? OfType<S, T>
    : S extends { type: infer T }
      ? OfType<S, T>
      : unknown

type Given<P> = { [K in keyof P]: P[K] extends { required: true } | { default: unknown } ? K : never }[keyof P]

/** The TypeScript type of a plugin's options: those with a default or `required` are always there. */
export type OptionValues<P> = { [K in Given<P>]: OptionValue<P[K]> } & { [K in Exclude<keyof P, Given<P>>]?: OptionValue<P[K]> }
