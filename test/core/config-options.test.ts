// Options are accepted and refused as JSON Schema says, by the judgement of ajv.
import { Ajv } from 'ajv'
import t from 'tap'
import { completeOptions } from '../../core/config/creation.ts'
import { PIPELINE, STEP } from '../../core/config/skeleton.ts'
import type { Plugin } from '../../core/plugin/define.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import type { OptionSchema, OptionSchemas } from '../../core/plugin/options.ts'
import { toJsonSchema } from '../../schemas/json-schema.ts'
import { fc } from '../kit/rounds.ts'

const ajv = new Ajv({
  strict: true,
  strictTypes: false,
  allowUnionTypes: true,
  validateFormats: false,
  code: { optimize: false },
})
const type = fc.constantFrom('string', 'integer', 'number', 'boolean', 'object', 'array', 'null')
const name = fc.constantFrom('a', 'b')

// Mostly one or two keywords, so that a good part of the values is right.
const keywords = fc.oneof(
  fc.record({ type: fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 3 })) }),
  fc.record({ enum: fc.uniqueArray(fc.constantFrom('x', 'yy', 1, 2.5, true), { minLength: 1, maxLength: 3 }) }),
  fc.record({ minimum: fc.integer({ min: -2, max: 3 }) }),
  fc.record({ minimum: fc.constant(0), maximum: fc.integer({ min: -2, max: 3 }) }),
  fc.record({ minLength: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ type: fc.constant('string'), pattern: fc.constantFrom('^[a-z]+$', 'x', '^\\p{Lu}') }),
  fc.record({
    type: fc.constantFrom('string', 'integer'),
    required: fc.constant(true as const),
    secret: fc.constant(true as const),
  }),
)
const { schema } = fc.letrec<{ schema: OptionSchema }>(tie => ({
  schema: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    keywords,
    fc.record({ items: tie('schema'), minItems: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ properties: fc.dictionary(name, tie('schema')) }),
    fc.record({ additionalProperties: fc.oneof(fc.boolean(), tie('schema')) }),
    fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(name, tie('schema')),
      additionalProperties: fc.oneof(fc.boolean(), tie('schema')),
    }),
  ) as fc.Arbitrary<OptionSchema>,
}))
const { value } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(
      '',
      'x',
      'yy',
      'Éa',
      '😀😀',
      'abc',
      '1',
      0,
      1,
      -1,
      2.5,
      3,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      true,
      false,
      null,
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'toString'), tie('value'), { maxKeys: 3 }),
  ),
}))

async function accepts(options: JsonObject, properties: OptionSchemas): Promise<boolean> {
  return completeOptions({ kind: 'filter', options: properties } as Plugin, options, '/').then(
    () => true,
    () => false,
  )
}

t.test('the reader of options and ajv agree', async t => {
  const seen = { right: 0, wrong: 0 }
  await fc.assert(
    fc.asyncProperty(schema, fc.array(value, { minLength: 10, maxLength: 30 }), async (one, values) => {
      const properties = { a: { ...one, description: 'x' } }
      const validate = ajv.compile(toJsonSchema(properties))
      for (const options of [...values.map(a => ({ a })), {}]) {
        const accepted = await accepts(options, properties)
        seen[accepted ? 'right' : 'wrong']++
        if (accepted !== validate(options)) return false
      }
      return true
    }),
    { numRuns: 150 },
  )
  t.ok(seen.right > 300 && seen.wrong > 300, `${seen.right} values were right, ${seen.wrong} wrong`)
})

t.test('the skeleton is a schema that ajv takes, and describes all it has', async t => {
  for (const properties of [PIPELINE, ...Object.values(STEP)]) {
    t.doesNotThrow(() => ajv.compile(toJsonSchema(properties)))
    const undescribed: string[] = []
    const walk = (schemas: OptionSchemas, path: string) => {
      for (const [key, one] of Object.entries(schemas)) {
        if (!one.description || one.description.endsWith('.')) undescribed.push(path + key)
        if (one.properties) walk(one.properties as OptionSchemas, `${path}${key}.`)
        if (one.items?.properties) walk(one.items.properties as OptionSchemas, `${path}${key}[].`)
      }
    }
    walk(properties, '')
    t.strictSame(undescribed, [])
  }
  t.strictSame(toJsonSchema({ a: { type: 'string', required: true, secret: true, format: 'path', description: 'x' } }), {
    type: 'object',
    properties: { a: { type: 'string', writeOnly: true, description: 'x' } },
    required: ['a'],
    additionalProperties: false,
  })
})
