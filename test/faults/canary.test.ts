// No secret of a pipeline, and nothing that a DLP rule matched, gets out: whatever plugins say of them when they fail. The kit searches
// what every run says and leaves.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CANARY_VARIABLE, canary, filesWithCanary, findCanary, PLANTED } from '../kit/canary.ts'
import { penstock, start } from '../kit/process.ts'
import { full } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import { lettersIn, linesOf, shown, source } from './poison-support.ts'

t.setTimeout(150_000)

const output = join(import.meta.dirname, 'canary-output.ts')
const filter = join(import.meta.dirname, 'canary-filter.ts')
/** The secrets as a pipeline names them: from the environment, and from a file of several lines. */
const FROM_ENV = `\${${CANARY_VARIABLE}}`
const FROM_FILE = `\${secret:file:key}`
const secrets = { url: `https://user:${FROM_ENV}@[bad/`, token: FROM_FILE, keys: { one: FROM_ENV, two: FROM_FILE } }
const RUN = ['run', `${PLANTED}/p.yaml`, '--log-format', 'json', '--no-progress']

/** A folder in which `planted` holds what the test puts there: the pipeline, a secret file, input. The rest is what runs leave. */
function plant(t: Test, pipeline: object, files: Readonly<Record<string, string>> = {}, cwd: string = t.testdir({})): string {
  const folder = join(cwd, PLANTED)
  mkdirSync(folder)
  const key = `-----BEGIN ${canary('begin')}-----\n${canary('file')} "quoted" \\back/slash é\n${canary('end')}\n`
  writeFileSync(join(folder, 'key'), key, { mode: 0o600 })
  writeFileSync(join(folder, 'p.yaml'), JSON.stringify({ name: 'p', inputs: [{ type: 'file', paths: ['in.*'] }], ...pipeline }))
  for (const [name, text] of Object.entries({ 'in.ndjson': '{"n":1}\n', ...files })) writeFileSync(join(folder, name), text)
  return cwd
}

t.test('the search finds a secret as text, in base64 and in files, and a run that shows one fails', async t => {
  for (const before of ['', 'a', 'ab', 'abc']) {
    const text = `${before}${canary('x')} and more`
    for (const form of [text, JSON.stringify(text), encodeURIComponent(text), Buffer.from(text).toString('base64')])
      t.ok(findCanary(`something ${form} else`), form.slice(0, 5))
  }
  t.notOk(findCanary('canary-x-, and no mark'))
  // Outside of what is searched after all tests: another run of them may be at its end just now.
  const elsewhere = () => {
    const folder = mkdtempSync(join(tmpdir(), 'penstock-canary-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    return folder
  }
  const shown = { filters: [{ type: 'set', fields: { x: FROM_ENV } }] }
  const stdout = plant(t, { ...shown, outputs: [{ type: 'stdout' }] }, {}, elsewhere())
  await t.rejects(penstock(RUN, { cwd: stdout }), /a secret stands in stdout, behind /)
  const file = plant(t, { ...shown, outputs: [{ type: 'file', path: 'out/o.ndjson' }] }, {}, elsewhere())
  await t.rejects(penstock(RUN, { cwd: file }), /a secret stands in .*o\.ndjson/)
  t.equal((await filesWithCanary(file)).length, 1, 'what was planted does not count')
})

t.test('row 78: secrets that plugins let slip are in no log, table, metric, answer, dead letter or file', async t => {
  const slips = ['refuse', 'outage', 'encode', 'say']
  const cwd = plant(
    t,
    {
      http: { port: 0, token: FROM_ENV },
      workers: 1,
      filters: [{ type: filter, id: 'filter', key: FROM_FILE }],
      outputs: [
        ...slips.map(slip => ({ type: output, id: slip, slip, ...secrets, until: 'go', retry: { min_ms: 20, max_ms: 20 } })),
        {
          type: 'discard',
          id: 'own',
          when: 'has(doc.later)',
          filters: [
            { type: 'set', id: 'mark', fields: { fail: true } },
            { type: filter, id: 'own_filter', key: FROM_ENV },
          ],
        },
      ],
    },
    { 'in.ndjson': '{"n":1}\n{"n":2,"fail":true}\n{"n":3,"later":true}\n' },
  )
  const { child, ended } = start(RUN, { cwd })
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr?.on('data', text => {
    log += text
  })
  const port = await until(() => Number(/"port":(\d+)/.exec(log)?.[1]))
  const ask = async (path: string, token = canary('env')) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { Authorization: `Bearer ${token}` } })
    const text = `${JSON.stringify([...answer.headers])} ${await answer.text()}`
    t.notOk(findCanary(text), `an answer with ${answer.status}: ${findCanary(text) ?? 'no secret'}`)
    return text
  }
  // The outage lasts until somebody has looked.
  await until(async () => /"step":"outage".*"step":"say"|"step":"say".*"step":"outage"/.test(await ask('/ready')))
  t.match(
    await ask('/ready'),
    /503 for \*\*\* Authorization: Bearer \*\*\*/,
    'health tells what it was told, without the secrets',
  )
  t.match(await ask('/metrics'), /penstock_sent\{(?=.*url="\*\*\*")(?=.*token="\*\*\*")/)
  await ask('/metrics', `${canary('env')}x`)
  await ask(`/${canary('env')}`)
  writeFileSync(join(cwd, 'go'), '')
  const { code, stderr } = await ended
  t.equal(code, 0, shown(stderr))
  // It did happen: each of them said something, and *** stands there.
  t.match(stderr, /"step":"outage","error":"503 for \*\*\* Auth/)
  t.match(stderr, /"step":"say".*"message":"sent to \*\*\* with \*\*\*/)
  t.match(stderr, /"stack":".*\*\*\*.*canary-output\.ts/)
  t.match(stderr, /say: degraded: \*\*\* Auth/)
  const letters = await lettersIn(cwd)
  t.same([...new Set(letters.map(({ step }) => step))].sort(), ['encode', 'filter', 'own', 'refuse'])
  for (const { step, error } of letters) t.match(error, /\*\*\*/, `${step} has said it`)
  t.ok(letters.some(({ code }) => code.includes('***')))
  t.equal((await penstock(['dlq', 'list'], { cwd })).code, 0)
})

t.test('row 78: nor in what is said when a pipeline cannot start, or throws where nobody catches', async t => {
  const ends = [
    { slip: 'open', code: 1, said: /Invalid URL: \*\*\* Auth/ },
    { slip: 'timer of create', code: 1, said: /Error: cannot connect: \*\*\* Auth/ },
  ]
  for (const { slip, code, said } of ends) {
    const cwd = plant(t, { outputs: [{ type: output, slip, ...secrets }] })
    const ran = await penstock(RUN, { cwd })
    t.equal(ran.code, code, `${slip}: ${shown(ran.stderr)}`)
    t.match(ran.stderr, said, slip)
  }
  // A rejection that nobody handles: the pipeline is started again.
  const cwd = plant(t, { outputs: [{ type: output, id: 'timer', slip: 'timer', ...secrets, until: 'go' }] })
  const { child, ended } = start(RUN, { cwd })
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr?.on('data', text => {
    log += text
  })
  await until(() => log.includes('started again'))
  writeFileSync(join(cwd, 'go'), '')
  const { code, stderr } = await ended
  t.equal(code, 0, shown(stderr))
  t.match(stderr, /"stack":".*\*\*\*.*"message":"uncaught error"/)
})

t.test('row 78: nor in what check says of the lines around them, and of YAML that is none', async t => {
  const cwd = plant(t, { outputs: [] })
  const literal = canary('literal')
  const step = `  - type: ${output}\n    slip: write\n    url: "${literal}"\n    token: '${literal}'\n`
  const head = 'inputs: [{ type: stdin }]\noutputs:\n'
  const texts = {
    misspelt: `${head}${step}    tokne: ${literal}\n`,
    'wrong-type': `${head}${step.replace(`'${literal}'`, `[${literal}, { a: ${literal} }]`)}`,
    'second-key': `${head}${step}    token: ${literal}\n`,
    'unknown-plugin': `${head}  - { type: nobody, password: ${literal}, nested: { api_key: "${literal}" } }\n`,
    'one-line': `${head}  - { type: ${output}, slip: write, token: ${literal}, hots: 1 }\n`,
    block: `${head}${step.replace(`'${literal}'`, `|\n      ${literal}\n      ${literal}`)}    hots: 1\n`,
    http: `${head}  - type: discard\nhttp: { port: x, token: ${literal}, hots: 1 }\n`,
    'http-short': `${head}  - type: discard\nhttp: { port: 0, host: 0.0.0.0, token: "${literal}" }\n`,
    'no-such-file': `${head}${step.replace(`"${literal}"`, `\${secret:file:none}/${literal}`)}`,
    'a-folder': `${head}${step.replace(`"${literal}"`, `\${secret:file:.}/${literal}`)}`,
    default: `${head}${step.replace(`"${literal}"`, `"\${NONE:-${literal}}"`)}    hots: 1\n`,
    'quoted-back': `${head}  - { type: ${output}, slip: option, url: ${literal}, token: "a ${literal}" }\n`,
    'quoted-in-a-fault': `${head}  - { type: ${output}, slip: create, url: ${FROM_ENV}, token: "${FROM_FILE}" }\n`,
    'broken-below': `${head}${step}   x: : y\n`,
    'broken-in-it': `${head}${step.replace(`'${literal}'`, `'${literal}`)}`,
    'broken-tab': `${head}${step}\t${'client_secret'}: ${literal}\n`,
    'broken-colon': `${head}    client_secret: ${literal}: x\n`,
    'broken-brace': `${head}  - { type: x, token: ${literal}, {\n`,
  }
  for (const [name, text] of Object.entries(texts)) writeFileSync(join(cwd, PLANTED, `${name}.yaml`), text)
  const files = Object.keys(texts).map(name => `${PLANTED}/${name}.yaml`)
  const { code, stderr } = await penstock(['check', ...files], { cwd })
  t.equal(code, 78)
  for (const file of files) t.match(stderr, `${file}:`, `${file} is wrong`)
  t.ok(stderr.split('***').length > files.length / 2, 'lines with secrets were shown')
})

/** What a rule has matched, in all places and texts in which records have it. */
function matchedRecords(): object[] {
  const values = [{ Name: canary('dlp'), Value: `number ${canary('dlp')} in its sentence` }]
  const found = { SensitiveInformationDetections: { DetectedValues: values, ResultsTruncated: false } }
  const rule = { RuleName: 'Cards', Severity: 'High', ConditionsMatched: { SensitiveInformation: [{ Count: 1, ...found }] } }
  const record = (n: string, more: object = {}) => ({
    Id: n,
    RecordType: 11,
    Operation: 'DlpRuleMatch',
    CreationTime: '2026-05-06T08:12:33',
    PolicyDetails: [{ PolicyName: 'Finance', Rules: [rule] }],
    ...more,
  })
  const text = JSON.stringify(record('inner'))
  return [
    record('plain'),
    { AuditData: JSON.stringify(record('text')), CreationDate: '2026-05-06T08:12:33' },
    { auditData: record('object'), id: 'graph' },
    record('text in a field', { Data: text }),
    record('text in a text', { Data: JSON.stringify({ more: text }) }),
    record('cut off', { Data: text.slice(0, text.indexOf('sentence')) }),
    record('named value', { ExtendedProperties: [{ Name: 'x', Value: text }] }),
    record('of another type', { RecordType: 2, DetectedValues: values }),
    record('deep', { PolicyDetails: undefined, Deep: nested({ DetectedValues: values }, 200) }),
    record('too deep for a text', { Data: `${'['.repeat(20_000)}${JSON.stringify(found)}${']'.repeat(20_000)}` }),
    { AuditData: JSON.stringify(record('escaped text')).replaceAll('"DetectedValues', '"\\u0044etectedValues') },
    { DetectedValues: values, unknown: 'to the filter' },
  ]
}

function nested(value: object, levels: number): object {
  return levels === 0 ? value : [nested(value, levels - 1)]
}

for (const workers of full ? [0, 1] : [1]) {
  t.test(
    `row 78: what DLP rules matched is in no document, dead letter, log or state, whatever fails behind (${workers} workers)`,
    async t => {
      const records = matchedRecords()
      const input = records.map(record => `${JSON.stringify(record)}\n`).join('')
      const escaped = input.replaceAll('DetectedValues', '\\u0044etectedValues')
      const csv = `CreationDate,AuditData\n2026-05-06T08:12:33,"${JSON.stringify(records[0]).replaceAll('"', '""')}"\n`
      const cwd = plant(
        t,
        {
          workers,
          max_event_bytes: 1_000_000,
          inputs: [
            { type: 'file', id: 'records', paths: ['in.ndjson', 'escaped.ndjson'] },
            { type: 'file', id: 'csv', paths: ['in.csv'], codec: 'csv' },
          ],
          filters: [
            { type: 'ecs', keep_original: true },
            { type: 'set', fields: { fail: true }, when: 'o365.audit.RecordType == "11"' },
            { type: 'dedupe' },
          ],
          outputs: [
            { type: 'file', id: 'out', path: 'out/o.ndjson' },
            // Each in its own way, and each with others' records: one fault would take what another has kept.
            { type: output, id: 'refuse', slip: 'refuse', ...secrets, when: 'size(event.id) % 3 == 0' },
            { type: output, id: 'encode', slip: 'encode', ...secrets, when: 'size(event.id) % 3 == 1' },
            { type: output, id: 'say', slip: 'say', ...secrets },
            { type: 'discard', filters: [{ type: filter, id: 'fails', key: FROM_ENV }], when: 'size(event.id) % 3 == 2' },
            { type: 'tally', tables: [{ title: 'Originals', field: 'event.original' }] },
          ],
        },
        { 'in.ndjson': input, 'escaped.ndjson': escaped, 'in.csv': csv },
      )
      const { code, stderr } = await penstock(RUN, { cwd })
      t.equal(code, 0, shown(stderr))
      const lines = linesOf(join(cwd, 'out/o.ndjson'))
      t.ok(lines.length >= records.length - 2, `${lines.length} documents`)
      t.ok(lines.every(line => JSON.parse(line).event.original !== undefined))
      const letters = await lettersIn(cwd)
      for (const step of ['refuse', 'encode', 'discard', 'ecs'])
        t.ok(
          letters.some(letter => letter.step === step),
          `there are dead letters of ${step}`,
        )
      for (const letter of letters)
        t.notOk(findCanary(source(letter)), `the record in dead letter ${letter.id} of ${letter.step}`)
    },
  )
}
