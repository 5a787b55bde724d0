// Each pipeline in test/fixtures/config/errors gives exactly the errors beside it: place, words, source line, caret, nothing secret.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadPipeline } from '../../core/config/load.ts'
import { ConfigError } from '../../core/config/problem.ts'

const folder = fileURLToPath(new URL('../fixtures/config/errors/', import.meta.url))
const root = fileURLToPath(new URL('../../', import.meta.url))
const env = {
  SET: 'set',
  TEXT: 'many',
  NUMBER: '5',
  EMPTY: '',
  SECRET: 'environment-secret',
  CODEC: '../plugins/text.ts',
  TYPE: '../plugins/sink.ts',
}

async function errorsOf(file: string): Promise<ConfigError> {
  try {
    await loadPipeline(file, { env })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error(`${file} has no errors`)
}

t.before(() => process.chdir(folder))

for (const file of readdirSync(folder).filter(name => name.endsWith('.pipeline'))) {
  t.test(file, async t => {
    const error = await errorsOf(file)
    // The list of built-in plugins grows, and the checkout lies anywhere.
    const shown = `${error.format()}\n`.replaceAll(root, '<root>/').replaceAll(/(needs a type): .*/g, '$1: …')
    const expected = new URL(file.replace('.pipeline', '.txt'), `file://${folder}`)
    t.equal(shown, readFileSync(expected, 'utf8'))
    for (const secret of ['literal-secret', 'environment-secret', 'k3y-of-the-file', 'hunter']) {
      t.notMatch(error.format() + error.message + JSON.stringify(error.problems), secret)
    }
    const places = error.problems.map(({ line, column }) => line * 10_000 + column)
    t.strictSame(
      places,
      [...places].sort((a, b) => a - b),
      'in the order of the file',
    )
  })
}

t.test('an error has a code, a line for each problem, and colours only when asked', async t => {
  const error = await errorsOf('unmatched-twice.pipeline')
  t.equal(error.code, 'PEN_CONFIG')
  t.equal(error.message.split('\n').length, error.problems.length)
  t.match(error.message, /^unmatched-twice\.pipeline:6:1: the output sink has when: unmatched already/)
  t.notMatch(error.format(), '\u001b')
  t.match(error.format({ color: true }), '\u001b[31m^^^^^^^^^')
  t.match(error.problems[0], {
    file: 'unmatched-twice.pipeline',
    line: 6,
    column: 1,
    source: { text: 'unmatched: drop', caret: 0, width: 9 },
  })
})
