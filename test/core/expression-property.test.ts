// The closures that run common expressions say what the CEL library says, on any data.

import t from 'tap'
import { byLibrary, compileExpression } from '../../core/config/expression.ts'
import { parseCel } from '../../core/config/expression-cel.ts'
import { closure } from '../../core/config/expression-closures.ts'
import { fc } from '../kit/rounds.ts'

// Few names and values, so that expressions and events meet. No key `constructor`: the library refuses to look into such objects.
const key = fc.constantFrom('a', 'b', 'c', 'type', 'toString', 'length', '@x')
const scalar = fc.constantFrom<unknown>('x', 'y', 'X', '', 0, 1, -1, 15, 1.5, true, false, null)
const { value } = fc.letrec<{ value: unknown; object: Record<string, unknown> }>(tie => ({
  value: fc.oneof({ maxDepth: 3 }, scalar, fc.array(tie('value'), { maxLength: 3 }), tie('object')),
  object: fc.dictionary(key, tie('value'), { maxKeys: 4 }) as fc.Arbitrary<Record<string, unknown>>,
}))
const record = fc.dictionary(key, value, { maxKeys: 5 }).map(fields => ({ ...fields }))
const event = fc.record({ fields: record, meta: record })

const name = fc.constantFrom('a', 'b', 'c', 'type', 'toString', 'constructor', 'doc', 'meta')
const step = fc.constantFrom('.a', '.b', '.c', '.type', '.length', '.constructor', '["a"]', '["@x"]')
const path = fc.tuple(name, fc.array(step, { maxLength: 2 })).map(([root, steps]) => root + steps.join(''))
const dotted = fc
  .tuple(name, fc.array(fc.constantFrom('.a', '.b', '.c'), { minLength: 1, maxLength: 2 }))
  .map(([root, steps]) => root + steps.join(''))
const word = fc.constantFrom('"x"', '"y"', '""', '"a"')
const literal = fc.oneof(word, fc.constantFrom('0', '1', '-1', '15', '15.0', '1.5', 'true', 'false', 'null'))
const operand = fc.oneof(
  path,
  fc.tuple(path, fc.constantFrom('lowerAscii', 'upperAscii')).map(([of, call]) => `${of}.${call}()`),
)
const test = fc.oneof(
  fc.tuple(operand, fc.constantFrom('==', '!='), fc.oneof(literal, operand)).map(parts => parts.join(' ')),
  fc.tuple(literal, fc.constantFrom('==', '!='), operand).map(parts => parts.join(' ')),
  fc.tuple(operand, fc.constantFrom('<', '<=', '>', '>='), literal).map(parts => parts.join(' ')),
  fc.tuple(literal, fc.constantFrom('<', '<=', '>', '>='), operand).map(parts => parts.join(' ')),
  fc.tuple(operand, fc.array(literal, { minLength: 1, maxLength: 3 })).map(([of, list]) => `${of} in [${list.join(', ')}]`),
  fc.tuple(word, path).map(([one, of]) => `${one} in ${of}`),
  fc
    .tuple(operand, fc.constantFrom('startsWith', 'endsWith', 'contains', 'matches'), word)
    .map(([of, call, one]) => `${of}.${call}(${one})`),
  dotted.map(of => `has(${of})`),
  path,
)
const { common } = fc.letrec<{ common: string }>(tie => ({
  common: fc.oneof(
    { maxDepth: 4 },
    test,
    fc.tuple(tie('common'), fc.constantFrom('&&', '||'), tie('common')).map(([left, op, right]) => `(${left}) ${op} (${right})`),
    tie('common').map(inner => `!(${inner})`),
  ),
}))
/** Forms that are the library's alone: here the paths that are tested first must not change the answer. */
const rare = fc
  .tuple(common, path, common)
  .map(([one, of, two]) => `${of}.exists(v, v == 1) && (${one}) && (size(${of}) > 0 ? (${two}) : ${of} == [1])`)

/** Where needed paths are tested first, an error behind a lack goes unseen: only closures tell every error that the library tells. */
function same(text: string, data: { fields: Record<string, unknown>; meta: Record<string, unknown> }): boolean {
  let compiled: ReturnType<typeof compileExpression>
  const told = [0, 0]
  try {
    compiled = compileExpression(text, '', () => told[0]!++)
  } catch {
    // Some expressions do not pass the type check.
    return true
  }
  const library = byLibrary(parseCel(text), () => told[1]!++)
  return compiled(data) === library(data) && (told[0] === told[1] || !closure(parseCel(text).ast))
}

t.test('closures and library agree, also on what is an error', async t => {
  fc.assert(
    fc.property(common, fc.array(event, { minLength: 1, maxLength: 6 }), (text, events) => events.every(one => same(text, one))),
    { numRuns: 1500 },
  )
  t.pass('no difference was found')
})

t.test('testing the needed paths first changes no answer', async t => {
  fc.assert(
    fc.property(rare, event, (text, one) => same(text, one)),
    { numRuns: 1500 },
  )
  t.pass('no difference was found')
})

t.test('the common forms are closures, the others are not', async t => {
  for (const text of ['a.b == "x" && "y" in c', 'has(a.b) || !(a in [1, 2])', 'a.matches("x") && doc["@x"] > 1']) {
    t.ok(closure(parseCel(text).ast), text)
  }
  for (const text of ['a.exists(x, x == 1)', 'a == [1]', 'a + 1 == 2', 'size(a) > 1', 'a ? b : c'])
    t.notOk(closure(parseCel(text).ast), text)
})
