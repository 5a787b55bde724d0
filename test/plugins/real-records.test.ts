// Real records through the real program: `penstock run` with ecs and geoip, where the records of other projects' tests are there.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { penstock } from '../kit/process.ts'

const FIXTURES = join(import.meta.dirname, '../../../shared/fixtures')
const there = existsSync(FIXTURES)

interface Pair {
  readonly source: string
  readonly input: string
  readonly expected: JsonObject | null
}

/** What the shipper or the test set adds, and the parts of a parsed user agent. */
const LEFT_OUT =
  /^(tags|event\.(ingested|original|dataset|module)|data_stream\..*|agent\..*|user_agent\.(name|version|os\..*|device\..*)|ecs\.version)$/

function compared(document: JsonObject, timed: boolean): string[] {
  const lines: string[] = []
  const walk = (value: unknown, path: string) => {
    if (LEFT_OUT.test(path) || (!timed && path === '@timestamp')) return
    if (value && typeof value === 'object' && !Array.isArray(value)) {
      const entries = Object.entries(value)
      if (entries.length === 0 && path !== 'client') lines.push(`${path}: {}`)
      for (const [key, inner] of entries) walk(inner, path ? `${path}.${key}` : key)
    } else lines.push(`${path}: ${JSON.stringify(value)}`)
  }
  walk(document, '')
  return lines.sort()
}

t.test(
  '1,316 real audit records arrive, none is dead-lettered, and at least 200 of 219 are the expected document',
  { skip: there ? false : `${FIXTURES} is not there`, timeout: 120_000 },
  async t => {
    const sets = ['o365.audit', 'o365.audit.attacks'] as const
    const pairs = Object.fromEntries(
      sets.map(name => [
        name,
        readFileSync(join(FIXTURES, `${name}.ndjson`), 'utf8')
          .trimEnd()
          .split('\n')
          .map(line => JSON.parse(line) as Pair),
      ]),
    ) as Record<(typeof sets)[number], Pair[]>
    const cwd = t.testdir({})
    // Numbered, so that a document finds its record again: the records go in as they are, except for one that is no valid JSON.
    const unreadable = new Set<number>()
    for (const name of sets) {
      const lines = pairs[name].map(({ input }, index) => {
        try {
          return JSON.stringify(JSON.parse(input))
        } catch {
          unreadable.add(index)
          return JSON.stringify(repaired(input))
        }
      })
      writeFileSync(join(cwd, `${name}.ndjson`), `${lines.join('\n')}\n`)
    }
    t.comment(`${unreadable.size} record is printed in the fixtures with quotes that are not escaped; they were`)
    const databases = ['City', 'ASN', 'Country'].map(name => join(FIXTURES, 'mmdb', `GeoLite2-${name}.mmdb`))
    const pipeline = {
      name: 'real',
      inputs: [{ type: 'file', paths: sets.map(name => `${name}.ndjson`) }],
      filters: [
        { type: 'ecs', tenants: { 'b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd': 'mytenant.onmicrosoft.com' } },
        { type: 'geoip', databases },
      ],
      outputs: sets.map((name, index) => ({
        type: 'file',
        id: index === 0 ? 'pairs' : 'attacks',
        path: `out/${name}.ndjson`,
        when: `${index === 0 ? '' : '!'}meta.path.endsWith("o365.audit.ndjson")`,
      })),
      unmatched: 'drop',
    }
    writeFileSync(join(cwd, 'p.yaml'), JSON.stringify(pipeline))
    const { code, stderr } = await penstock(
      ['run', 'p.yaml', '--fail-on-dead-letters', '--log-level', 'error', '--no-progress'],
      { cwd },
    )
    t.equal(code, 0, stderr)
    const documents = (name: string) =>
      readFileSync(join(cwd, `out/${name}.ndjson`), 'utf8')
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as JsonObject)
    const got = documents('o365.audit')
    t.equal(got.length + documents('o365.audit.attacks').length, 1_316, 'all arrived')

    let equal = 0
    const different: string[] = []
    pairs['o365.audit'].forEach(({ source, input, expected }, index) => {
      if (!expected) return
      const timed = /"CreationTime"/.test(input)
      const ours = compared(got[index] as JsonObject, timed)
      const theirs = compared(expected, timed)
      const more = ours.filter(line => !theirs.includes(line))
      const less = theirs.filter(line => !ours.includes(line))
      if (more.length + less.length === 0) equal++
      else
        different.push(
          `${source}: ${[...more.map(line => `+ ${line}`), ...less.map(line => `- ${line}`)].join('  ').slice(0, 400)}`,
        )
    })
    t.comment(`${equal} of ${pairs['o365.audit'].length} are equal; the others:`)
    for (const line of different) t.comment(line)
    t.ok(equal >= 200, `${equal} are equal`)
  },
)

function repaired(input: string): JsonObject {
  const text = input
    .replaceAll('\\', '\\\\')
    .replace(/"Parameters": "(.*)", "Workload"/, (_, inner: string) => `"Parameters": ${JSON.stringify(inner)}, "Workload"`)
  return JSON.parse(text) as JsonObject
}
