// Reads `tests:` of a pipeline file.
import { isObject, type JsonObject } from '../plugin/json.ts'
import type { Report } from './problem.ts'
import { type Reading, ValueReader } from './reader.ts'
import { type Drafts, noSuch, outputNamed } from './rules.ts'
import { TEST } from './skeleton.ts'
import { child, items, type Tree } from './tree.ts'
import type { TestConfig } from './types.ts'

/** The tests of a file; steps that they name must be there. Nothing is filled in. */
export function readTests({ report, folder }: Reading, list: Tree | undefined, drafts: Drafts): TestConfig[] {
  const reading: Reading = { report, folder, apart: new Set() }
  return items(list).flatMap((tree, index) => {
    const name = `tests[${index}]`
    const test = new ValueReader(reading, { name, place: tree, folder }).value(tree, TEST, name)
    return isObject(test) ? [testOf(report, tree, test, drafts)] : []
  })
}

function testOf(report: Report, tree: Tree, test: JsonObject, { inputs, outputs }: Drafts): TestConfig {
  const names = (drafts: Drafts['inputs']) => drafts.map(({ id }) => id)
  if (typeof test.input_id === 'string' && !names(inputs).includes(test.input_id)) {
    report.error(child(tree, 'input_id') ?? tree, noSuch('input', test.input_id, names(inputs)))
  }
  if (isObject(test.outputs)) {
    const reached: JsonObject = {}
    const at = child(tree, 'outputs')
    for (const [name, count] of Object.entries(test.outputs)) {
      const output = outputNamed(name, outputs)
      if (output) reached[output.id] = count
      else report.error((at?.kind === 'map' && at.entries.get(name)?.key) || tree, noSuch('output', name, names(outputs)))
    }
    test.outputs = reached
  }
  if (['output', 'outputs', 'dead_letters', 'duplicates'].every(key => !child(tree, key))) {
    const begin = { start: tree.start, end: tree.start + 1 }
    report.error(begin, 'a test must expect something: output, outputs, dead_letters or duplicates')
  }
  // One of something is a list of one.
  for (const key of ['input', 'output', 'dead_letters']) {
    if (test[key] !== undefined && !Array.isArray(test[key])) test[key] = [test[key]]
  }
  return { ...test, line: report.line(tree.start) } as unknown as TestConfig
}
