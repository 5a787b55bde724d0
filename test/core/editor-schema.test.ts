// The schema for editors accepts the pipelines that are there, and points at what `check` would refuse.
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv } from 'ajv'
import t from 'tap'
import { parse } from 'yaml'
import { root } from '../kit/cases.ts'

const validate = new Ajv({ allErrors: true, strict: false }).compile(
  JSON.parse(readFileSync(join(root, 'schemas/pipeline.schema.json'), 'utf8')),
)

t.test('every pipeline of the repository fits', async t => {
  for (const file of globSync('pipelines/*.yaml', { cwd: root })) {
    t.ok(validate(parse(readFileSync(join(root, file), 'utf8'))), `${file}: ${JSON.stringify(validate.errors)}`)
  }
})

t.test('misspelt options, unknown keys and missing parts do not', async t => {
  const good = { inputs: [{ type: 'file', paths: ['a'] }], outputs: [{ type: 'discard' }] }
  t.ok(validate(good))
  t.notOk(validate({ ...good, inputs: [{ type: 'file', pathz: ['a'] }] }))
  t.notOk(validate({ ...good, workerz: 2 }))
  t.notOk(validate({ inputs: good.inputs }))
  t.notOk(validate({ ...good, filters: [{ type: 'geoip', fields: 7 }] }))
  t.ok(validate({ ...good, filters: [{ type: './my-filter.ts', anything: 1 }] }), 'a plugin of somebody else may take anything')
})
