// The quick check says yes to nothing that ajv refuses, and to nearly all that ajv accepts.
import { Ajv } from 'ajv'
import t from 'tap'
import { fits } from '../../core/config/fits.ts'
import { toJsonSchema } from '../../core/config/json-schema.ts'
import { PIPELINE, STEP } from '../../core/config/skeleton.ts'
import type { OptionSchema, OptionSchemas } from '../../core/plugin/options.ts'
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

t.test('the quick check and ajv agree', async t => {
  const seen = { right: 0, wrong: 0 }
  fc.assert(
    fc.property(schema, fc.array(value, { minLength: 10, maxLength: 30 }), (one, values) => {
      const properties = { a: { ...one, description: 'x' } }
      const validate = ajv.compile(toJsonSchema(properties))
      return [...values.map(a => ({ a })), {}].every(options => {
        const quick = fits(options, { type: 'object', properties, additionalProperties: false })
        seen[quick ? 'right' : 'wrong']++
        return quick === validate(options)
      })
    }),
    { numRuns: 150 },
  )
  t.ok(seen.right > 300 && seen.wrong > 300, `${seen.right} values were right, ${seen.wrong} wrong`)
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
