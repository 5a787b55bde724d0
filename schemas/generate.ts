// npm run generate: writes the files that are made from plugins' option schemas and from the tests. A test fails when they are stale.
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { testReadme } from '../test/rows/readme.ts'
import { generated } from './generated.ts'

for (const [path, text] of [...(await generated()), ...(await testReadme())]) {
  await writeFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), text)
  console.log(path)
}
