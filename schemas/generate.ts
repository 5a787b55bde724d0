// npm run generate: writes the files that are made from the plugins' option schemas. A test fails when they are stale.
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { generated } from './generated.ts'

for (const [path, text] of await generated()) {
  await writeFile(fileURLToPath(new URL(`../${path}`, import.meta.url)), text)
  console.log(path)
}
