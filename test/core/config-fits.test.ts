// The quick check says yes to nothing that ajv refuses, and to nearly all that ajv accepts.
import { Ajv } from 'ajv'
import fc from 'fast-check'
import t from 'tap'
import { fits } from '../../core/config/fits.ts'
import { toJsonSchema } from '../../core/config/json-schema.ts'
import { PIPELINE, STEP } from '../../core/config/skeleton.ts'
import type { OptionSchema, OptionSchemas } from '../../core/plugin/options.ts'

const ajv = new Ajv({ strict: true, strictTypes: false, allowUnionTypes: true, validateFormats: false })
const type = fc.constantFrom('string', 'integer', 'number', 'boolean', 'object', 'array', 'null')
const name = fc.constantFrom('a', 'b', 'c')

const { schema } = fc.letrec<{ schema: OptionSchema }>(tie => ({
  schema: fc.record(
    {
      type: fc.oneof(type, fc.uniqueArray(type, { minLength: 1, maxLength: 3 })),
      description: fc.constant('x'),
      enum: fc.uniqueArray(fc.constantFrom('x', 'yy', 1, 2.5, true), { minLength: 1, maxLength: 3 }),
      minimum: fc.integer({ min: -2, max: 3 }),
      maximum: fc.integer({ min: -2, max: 3 }),
      minLength: fc.integer({ min: 0, max: 3 }),
      pattern: fc.constantFrom('^[a-z]+$', 'x', '^\\p{Lu}'),
      minItems: fc.integer({ min: 0, max: 2 }),
      required: fc.constant(true as const),
      secret: fc.constant(true as const),
      items: fc.oneof({ maxDepth: 2 }, fc.constant({}), tie('schema')),
      properties: fc.oneof({ maxDepth: 2 }, fc.constant({}), fc.dictionary(name, tie('schema'))),
      additionalProperties: fc.oneof({ maxDepth: 2 }, fc.boolean(), tie('schema')),
    },
    { requiredKeys: [] },
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
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'toString'), tie('value'), { maxKeys: 3 }),
  ),
}))

t.test('the quick check and ajv agree', async t => {
  let accepted = 0
  fc.assert(
    fc.property(
      fc.dictionary(name, schema, { minKeys: 1 }) as fc.Arbitrary<OptionSchemas>,
      fc.array(fc.dictionary(name, value), { maxLength: 8 }),
      (properties, values) => {
        const validate = ajv.compile(toJsonSchema(properties))
        return values.every(one => {
          const quick = fits(one, { type: 'object', properties, additionalProperties: false })
          if (quick) accepted++
          return quick === validate(one)
        })
      },
    ),
    { numRuns: 300 },
  )
  t.ok(accepted > 30, `${accepted} values were right`)
})

t.test('the skeleton is a schema that ajv takes, and describes all it has', async t => {
  for (const properties of [PIPELINE as OptionSchemas, ...Object.values(STEP)]) {
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
