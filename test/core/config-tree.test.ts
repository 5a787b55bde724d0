// Places inside of scalars, and paths as plugins write them in errors.

import t from 'tap'
import { stringify } from 'yaml'
import { Report } from '../../core/config/problem.ts'
import { child, followPath, placeInScalar, type ScalarTree, type Tree } from '../../core/config/tree.ts'
import { parseYaml } from '../../core/config/yaml.ts'
import { fc } from '../kit/rounds.ts'

function tree(text: string): Tree {
  const report = new Report('x.yaml', text)
  const found = parseYaml(report)
  if (!found) throw new Error(JSON.stringify(report.errors()))
  return found
}

/** The tree as plain data. */
function plain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value
  if (tree.kind === 'list') return tree.items.map(plain)
  return Object.fromEntries([...tree.entries].map(([key, { value }]) => [key, plain(value)]))
}

t.test('the place of a character of a value is the place of that character in the file', async t => {
  const texts = [
    'a: plain text here',
    'a: plain\n  text\n\n  here',
    "a: 'it''s plain\n  text here'",
    'a: "tab\\t \\"quoted\\" caf\\u00e9 \\x41 text\\\n  here"',
    'a: |\n  first\n    second\n\n  third here',
    'a: |2- # comment\n    first\n   second',
    'a: >\n  folded\n  text\n\n  here',
    'a: >-\n   one\n   two # no comment\n',
  ]
  for (const text of texts) {
    const scalar = child(tree(text), 'a') as ScalarTree
    const value = String(scalar.value)
    for (const [index, character] of [...value].entries()) {
      if (!/[a-z]/.test(character)) continue
      t.equal(text[placeInScalar(text, scalar, index)], character, `${JSON.stringify(text)} at ${index}`)
    }
  }
})

t.test('also for any text in any style', async t => {
  const words = fc.array(fc.constantFrom('ab', 'cd ', ' ', '\n', '"', "'", '\\', ': ', '#', 'é', '\t', 'xyz'), {
    minLength: 1,
    maxLength: 12,
  })
  const styles = fc.constantFrom('PLAIN', 'QUOTE_DOUBLE', 'QUOTE_SINGLE', 'BLOCK_LITERAL', 'BLOCK_FOLDED')
  let compared = 0
  fc.assert(
    fc.property(words, styles, fc.integer({ min: 10, max: 40 }), (parts, defaultStringType, lineWidth) => {
      const value = parts.join('')
      const text = stringify({ a: value }, { defaultStringType: defaultStringType as 'PLAIN', lineWidth })
      // For blank lines of which a later one starts with a tab, stringify writes what YAML does not allow.
      const found = parseYaml(new Report('x.yaml', text))
      const scalar = found && (child(found, 'a') as ScalarTree)
      if (scalar?.value !== value) return true
      compared++
      return [...value].every(
        (character, index) => !/[a-z]/.test(character) || text[placeInScalar(text, scalar, index)] === character,
      )
    }),
    { numRuns: 2000 },
  )
  t.ok(compared > 1800, `${compared} of 2000 texts were compared`)
})

t.test('a path leads to its option, also where keys hold dots', async t => {
  const options = tree('networks: { lab.one: [a, b], lab: [c] }\nlabels: { "a.b": { c: 1 } }\nlist: [{ x: [1, 2] }]\nlab: 3')
  const at = (path: string) => {
    const found = followPath(options, path)
    return found && plain(found)
  }
  t.equal(at('networks.lab.one[1]'), 'b')
  t.equal(at('networks.lab[0]'), 'c')
  t.equal(at('labels["a.b"].c'), 1)
  t.equal(at('labels.a.b.c'), 1)
  t.equal(at('list[0].x[1]'), 2)
  t.strictSame(at('list[5].x'), [{ x: [1, 2] }], 'as far as it goes')
  t.equal(at('nothing.here'), undefined)
  t.equal(at(''), undefined)
})

t.test('values are those of YAML 1.2', async t => {
  const text = 'a: no\nb: 0x1F\nc: 0o17\nd: 1e3\ne: ~\nf:\ng: True\nh: 2026-01-02\ni: 1_000\nj: !!str 1\nk: "1"\nl: .5'
  t.strictSame(plain(tree(text)), {
    a: 'no',
    b: 31,
    c: 15,
    d: 1000,
    e: null,
    f: null,
    g: true,
    h: '2026-01-02',
    i: '1_000',
    j: '1',
    k: '1',
    l: 0.5,
  })
})
