// Generated files are committed: they must be what the generator gives now. What refers to the source must fit it.
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { generated } from '../../schemas/generated.ts'
import { mutants } from '../mutants/all.ts'
import { mutate } from '../mutants/mutant.ts'
import { testReadme, unheld } from '../rows/readme.ts'

t.test('generated files are up to date', async t => {
  for (const [path, text] of [...(await generated()), ...(await testReadme())]) {
    t.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text, `${path} is up to date (npm run generate)`)
  }
})

t.test('every row of the fault table is held by a test, or says why it is open', async t => {
  t.same(await unheld(), [])
})

t.test('every mutant fits the source, and has tests', async t => {
  const at = (path: string) => new URL(`../../${path}`, import.meta.url)
  t.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length, 'each has a name of its own')
  for (const mutant of mutants) {
    const { name, file, tests } = mutant
    const source = existsSync(at(file)) ? readFileSync(at(file), 'utf8') : ''
    if (mutate(source, mutant) === undefined) t.fail(`${name}: its text does not stand exactly once in ${file}`)
    if (tests.length === 0) t.fail(`${name}: no test should see it`)
    for (const test of tests) {
      const [path = '', title] = test.split(' > ')
      const text = existsSync(at(`test/${path}.test.ts`)) ? readFileSync(at(`test/${path}.test.ts`), 'utf8') : ''
      if (text === '' || !text.includes(title ?? '')) t.fail(`${name}: there is no test ${test}`)
    }
  }
})
