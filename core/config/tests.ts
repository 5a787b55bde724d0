// Reads `tests:` of a pipeline file.
import { isObject, type JsonObject } from '../plugin/json.ts'
import { type Drafts, outputNamed } from './rules.ts'
import type { Reading } from './step.ts'
import { didYouMean } from './suggest.ts'
import { child, plain, type Tree } from './tree.ts'
import type { TestConfig } from './types.ts'

/** The tests of a file, whose shape was checked; ids that they name must be there. */
export function readTests(reading: Reading, list: Tree | undefined, drafts: Drafts): TestConfig[] {
  if (list?.kind !== 'list') return []
  return list.items.filter(item => item.kind === 'map').map(item => readTest(reading, item, drafts))
}

function readTest({ report }: Reading, tree: Tree, { inputs, outputs }: Drafts): TestConfig {
  const test = plain(tree) as JsonObject
  const { input_id, output, outputs: counts, dead_letters, duplicates } = test
  if (typeof input_id === 'string' && !inputs.some(({ id }) => id === input_id)) {
    const ids = inputs.map(({ id }) => id)
    report.error(
      child(tree, 'input_id') as Tree,
      `there is no input ${input_id}${didYouMean(input_id, ids) || `; there are ${ids.join(', ')}`}`,
    )
  }
  const reached: Record<string, number> = {}
  for (const [name, count] of Object.entries(isObject(counts) ? counts : {})) {
    const found = outputNamed(name, outputs)
    const ids = outputs.map(({ id }) => id)
    const at = child(tree, 'outputs')
    if (found) reached[found.id] = count as number
    else if (at?.kind === 'map') {
      const guess = didYouMean(name, ids) || `; there are ${ids.join(', ')}`
      report.error(at.entries.get(name)?.key ?? at, `there is no output ${name}${guess}`)
    }
  }
  if ([output, counts, dead_letters, duplicates].every(one => one === undefined)) {
    report.error(
      { start: tree.start, end: tree.start + 1 },
      'a test must expect something: output, outputs, dead_letters or duplicates',
    )
  }
  return {
    name: String(test.name),
    ...(typeof input_id === 'string' ? { input_id } : {}),
    input: listed(test.input) as TestConfig['input'],
    ...(output === undefined ? {} : { output: listed(output) as JsonObject[] }),
    exact: test.exact === true,
    ...(counts === undefined ? {} : { outputs: reached }),
    ...(dead_letters === undefined ? {} : { dead_letters: listed(dead_letters) as string[] }),
    ...(typeof duplicates === 'number' ? { duplicates } : {}),
    line: report.line(tree.start),
  }
}

/** One of something is a list of one. */
function listed(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value]
}
