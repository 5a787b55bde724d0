// Fields are read by Penstock, the rest of an expression is the library's: together they say what the library alone says.

import t from 'tap'
import { cel, compileExpression } from '../../core/config/expression.ts'
import { fc } from '../kit/rounds.ts'

// Few names and values, so that expressions and events meet. No key `constructor`: the library refuses to look into such objects.
const key = fc.constantFrom('a', 'b', 'c', 'toString', 'length', '@x')
const scalar = fc.constantFrom<unknown>('x', 'y', 'X', '', 0, 1, -1, 15, 1.5, true, false, null)
const { value } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>(tie => ({
  value: fc.oneof({ maxDepth: 3 }, scalar, fc.array(tie('value'), { maxLength: 3 }), tie('object')),
  object: fc.dictionary(key, tie('value'), { maxKeys: 4 }) as fc.Arbitrary<Record<string, unknown>>,
}))
const record = fc.dictionary(key, value, { maxKeys: 5 }).map(fields => ({ ...fields }))
const event = fc.record({ fields: record, meta: record })

const name = fc.constantFrom('a', 'b', 'c', 'toString', 'doc', 'meta')
const step = fc.constantFrom('.a', '.b', '.c', '.length', '["a"]', '["@x"]', '[0]')
const path = fc.tuple(name, fc.array(step, { maxLength: 2 })).map(([root, steps]) => root + steps.join(''))
const word = fc.constantFrom('"x"', '"y"', '""', '"a"')
const literal = fc.oneof(word, fc.constantFrom('0', '1', '-1', '15', '15.0', '1.5', 'true', 'false', 'null'))
const operand = fc.oneof(
  path,
  fc.tuple(path, fc.constantFrom('lowerAscii', 'upperAscii')).map(([of, call]) => `${of}.${call}()`),
)
const test = fc.oneof(
  fc.tuple(operand, fc.constantFrom('==', '!=', '<', '>='), fc.oneof(literal, operand)).map(parts => parts.join(' ')),
  fc.tuple(operand, fc.array(literal, { minLength: 1, maxLength: 3 })).map(([of, list]) => `${of} in [${list.join(', ')}]`),
  fc.tuple(word, path).map(([one, of]) => `${one} in ${of}`),
  fc.tuple(operand, fc.constantFrom('startsWith', 'contains', 'matches'), word).map(([of, call, one]) => `${of}.${call}(${one})`),
  fc.tuple(path, path).map(([of, other]) => `${of}.exists(v, v == 1 || v.a == ${other})`),
  fc.tuple(path, literal).map(([of, one]) => `(${of} ? ${of} == ${one} : size(${of}) > 0)`),
  path,
)
const { expression } = fc.letrec<{ expression: string }>(tie => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    test,
    fc
      .tuple(tie('expression'), fc.constantFrom('&&', '||'), tie('expression'))
      .map(([left, op, right]) => `(${left}) ${op} (${right})`),
    tie('expression').map(inner => `!(${inner})`),
  ),
}))

/** What the library alone says: a bool, `lack`, or `error`. */
function byLibrary(text: string, { fields, meta }: { fields: Record<string, unknown>; meta: Record<string, unknown> }): unknown {
  try {
    const result = cel().parse(text)(new Map(Object.entries({ ...fields, doc: fields, meta })))
    return typeof result === 'boolean' ? result : 'error'
  } catch (error) {
    return /^(?:unknown_variable|no_such_key|index_out_of_bounds)$/.test((error as { code: string }).code) ? 'lack' : 'error'
  }
}

t.test('reading the fields by itself changes no answer, and hides no error', async t => {
  const seen = { true: 0, false: 0, lack: 0, error: 0 }
  fc.assert(
    fc.property(expression, fc.array(event, { minLength: 1, maxLength: 6 }), (text, events) => {
      let told = 0
      let compiled: ReturnType<typeof compileExpression>
      try {
        compiled = compileExpression(text, '', () => told++)
      } catch {
        // Some expressions do not pass the type check.
        return true
      }
      return events.every(one => {
        const expected = byLibrary(text, one)
        seen[String(expected) as keyof typeof seen]++
        told = 0
        return compiled(one) === (expected === true) && told === (expected === 'error' ? 1 : 0)
      })
    }),
    { numRuns: 3000 },
  )
  for (const [what, count] of Object.entries(seen)) t.ok(count > 20, `${what}: ${count} times`)
})
