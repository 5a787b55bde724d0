// penstock test: runs the `tests:` of pipelines: records in, expected events out, difference field by field.
import { loadPipeline } from '../config/load.ts'
import type { PipelineConfig, TestConfig } from '../config/types.ts'
import { visible } from '../observe/text.ts'
import type { Verb } from '../plugin/define.ts'
import { asError, PenstockError } from '../plugin/errors.ts'
import { isObject } from '../plugin/json.ts'
import { commandLine } from './args.ts'
import { type DryResult, openDryRun } from './dry-run.ts'
import { EXIT } from './exit-codes.ts'
import { painter } from './terminal.ts'
import { tell } from './verbs.ts'

const usage = `Usage: penstock test PIPELINE …

Runs the tests that stand in pipelines below "tests:". Each sends its input records through the codec (text) or past it (objects), the
filters, gates and routes, and compares what comes out. Inputs and outputs are not opened; nothing is written.

  tests:
    - name: a failed login is kept
      input: { Operation: UserLoginFailed, UserId: ana@contoso.example }
      output: [{ event: { action: UserLoginFailed } }]    # a subset of each event's fields; exact: true compares them all
      outputs: { siem: 1 }                                # how many events each output gets
      duplicates: 0                                       # how many a gate such as dedupe holds back
      dead_letters: []                                    # a part of each error, in order

Examples
  penstock test pipelines/quickstart.yaml
  penstock test pipelines/*.yaml`

export const verb: Verb = {
  summary: 'Run the tests that stand in pipelines',
  usage,
  async run(args) {
    const { positionals } = commandLine(args, {})
    if (positionals.length === 0) throw new PenstockError('PEN_USAGE', 'test needs a pipeline file (penstock test --help)')
    let code: number = EXIT.ok
    let passed = 0
    let failed = 0
    for (const file of positionals) {
      try {
        const { config } = await loadPipeline(file)
        if (config.tests.length === 0) process.stdout.write(`${file} has no tests\n`)
        for (const good of await testPipeline(config)) good ? passed++ : failed++
      } catch (error) {
        code = tell(asError(error))
      }
    }
    process.stdout.write(`${passed} passed, ${failed} failed\n`)
    return failed > 0 ? EXIT.failed : code
  },
}

async function testPipeline(config: PipelineConfig): Promise<boolean[]> {
  const paint = painter(process.stdout)
  const dry = await openDryRun(config)
  const results: boolean[] = []
  try {
    for (const test of config.tests) {
      const differences = compare(test, await dry.run(test.input, test.input_id))
      results.push(differences.length === 0)
      const mark = differences.length === 0 ? paint('green', 'ok    ') : paint('red', 'FAILED')
      process.stdout.write(
        `${mark}  ${config.name}: ${visible(test.name)}${differences.length === 0 ? '' : `  (${visible(config.file)}:${test.line})`}\n`,
      )
      for (const difference of differences) process.stdout.write(`        ${visible(difference)}\n`)
    }
  } finally {
    await dry.close()
  }
  return results
}

/** What differs from what the test expects, a sentence each. */
export function compare(test: TestConfig, result: DryResult): string[] {
  const differences: string[] = []
  const { events, deadLetters, duplicates } = result
  if (test.output) {
    if (test.output.length !== events.length) differences.push(`expected ${test.output.length} events, got ${events.length}`)
    test.output.forEach((expected, index) => {
      const event = events[index]
      if (!event) return
      const at = test.output?.length === 1 ? '' : `event ${index + 1}: `
      for (const difference of fieldDifferences(expected, event.fields, '', test.exact)) differences.push(`${at}${difference}`)
    })
  }
  for (const [output, expected] of Object.entries(test.outputs ?? {})) {
    const got = events.filter(({ outputs }) => outputs.includes(output)).length
    if (got !== expected) differences.push(`output ${output}: expected ${expected} events, got ${got}`)
  }
  if (test.duplicates !== undefined && test.duplicates !== duplicates)
    differences.push(`expected ${test.duplicates} duplicates, got ${duplicates}`)
  const expectedLetters = test.dead_letters ?? []
  deadLetters.forEach((error, index) => {
    const part = expectedLetters[index]
    if (part === undefined) differences.push(`a dead letter that was not expected: ${error}`)
    else if (!error.includes(part)) differences.push(`dead letter ${index + 1}: expected "${part}" in its error, got: ${error}`)
  })
  for (const part of expectedLetters.slice(deadLetters.length))
    differences.push(`expected a dead letter with "${part}", there was none`)
  return differences
}

function fieldDifferences(expected: unknown, got: unknown, path: string, exact: boolean): string[] {
  if (isObject(expected) && isObject(got)) {
    const differences: string[] = []
    const name = (key: string) => (path ? `${path}.${key}` : key)
    for (const key of Object.keys(expected)) {
      if (Object.hasOwn(got, key)) differences.push(...fieldDifferences(expected[key], got[key], name(key), exact))
      else if (expected[key] !== null) differences.push(`${name(key)}: expected ${text(expected[key])}, but it is absent`)
    }
    if (exact)
      for (const key of Object.keys(got))
        if (!Object.hasOwn(expected, key)) differences.push(`${name(key)}: not expected, got ${text(got[key])}`)
    return differences
  }
  if (Array.isArray(expected) && Array.isArray(got) && expected.length === got.length) {
    return expected.flatMap((item, index) => fieldDifferences(item, got[index], `${path}[${index}]`, exact))
  }
  return same(expected, got) ? [] : [`${path}: expected ${text(expected)}, got ${text(got)}`]
}

function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => same(item, b[index]))
  return a === b
}

function text(value: unknown): string {
  return JSON.stringify(value) ?? 'nothing'
}
