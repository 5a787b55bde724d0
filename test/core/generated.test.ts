// Generated files are committed: they must be what the generator gives now.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { generated } from '../../schemas/generated.ts'

for (const [path, text] of await generated()) {
  t.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text, `${path} is up to date (npm run generate)`)
}
