// test/README.md: which test holds which row of the fault table. Made from the titles of the tests; a test fails when it is stale.
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../kit/cases.ts'
import { ROWS, type Row, WEB_RULES } from './rows.ts'

interface Held {
  readonly file: string
  readonly title: string
}

/** `row 4: …`, `rows 5, 6: …`, `web rule 3: …`, as a title of a test begins. */
const TITLE = /\.test\(\s*(['"`])(web rules?|rows?) (\d+(?:(?:, | and )\d+)*): ((?:\\.|(?!\1).)*)\1/g

/** The tests of every row and of every web rule, by number. */
async function heldRows(): Promise<{ rows: Map<number, Held[]>; rules: Map<number, Held[]> }> {
  const rows = new Map<number, Held[]>()
  const rules = new Map<number, Held[]>()
  const files: string[] = []
  for await (const file of glob('test/**/*.test.ts', { cwd: root })) files.push(file)
  for (const file of files.sort()) {
    for (const [, , what, numbers, title] of readFileSync(join(root, file), 'utf8').matchAll(TITLE)) {
      const map = what?.startsWith('web') ? rules : rows
      for (const number of numbers?.match(/\d+/g) ?? []) {
        const held = map.get(Number(number)) ?? []
        map.set(Number(number), held)
        held.push({ file, title: (title as string).replace(/\\(.)/g, '$1').replace(/\$\{[^}]*\}/g, '…') })
      }
    }
  }
  return { rows, rules }
}

function table(all: Readonly<Record<number, Row>>, held: ReadonlyMap<number, readonly Held[]>): string {
  for (const number of held.keys())
    if (!all[number]) throw new Error(`${held.get(number)?.[0]?.file} names row ${number}, which test/rows/rows.ts lacks`)
  const lines = Object.entries(all).map(([number, { fault, open }]) => {
    const tests = (held.get(Number(number)) ?? []).map(
      ({ file, title }) => `[${title.replaceAll('|', '\\|')}](${file.slice('test/'.length)})`,
    )
    if (open) tests.push(`*open: ${open}*`)
    return `| ${number} | ${fault} | ${tests.length > 0 ? tests.join('<br>') : '**no test**'} |`
  })
  return ['| | fault | tests |', '| --- | --- | --- |', ...lines].join('\n')
}

/** Numbers of rows that are neither held nor open. */
export async function unheld(): Promise<string[]> {
  const { rows, rules } = await heldRows()
  const without = (all: Readonly<Record<number, Row>>, held: ReadonlyMap<number, unknown>) =>
    Object.entries(all).flatMap(([number, { open }]) => (open || held.has(Number(number)) ? [] : [number]))
  return [...without(ROWS, rows).map(n => `row ${n}`), ...without(WEB_RULES, rules).map(n => `web rule ${n}`)]
}

/** The generated file, by its path from the project's folder. */
export async function testReadme(): Promise<ReadonlyMap<string, string>> {
  const { rows, rules } = await heldRows()
  const intro = readFileSync(join(root, 'test/rows/intro.md'), 'utf8')
  const text = `<!-- Made by npm run generate from test/rows and the titles of the tests. -->
${intro}
## Faults and the tests that hold them

${table(ROWS, rows)}

Rows 31 to 63 (the sources of Microsoft 365, Elasticsearch, Kafka) come with their plugins.

## Rules for what listens and answers

${table(WEB_RULES, rules)}
`
  return new Map([['test/README.md', text]])
}
