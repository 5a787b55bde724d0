// Generated files are committed: they must be what the generator gives now.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { generated } from '../../schemas/generated.ts'
import { testReadme, unheld } from '../rows/readme.ts'

t.test('generated files are up to date', async t => {
  for (const [path, text] of [...(await generated()), ...(await testReadme())]) {
    t.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text, `${path} is up to date (npm run generate)`)
  }
})

t.test('every row of the fault table is held by a test, or says why it is open', async t => {
  t.same(await unheld(), [])
})
