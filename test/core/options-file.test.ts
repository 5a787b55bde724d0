// Options that lie in a file of their own: read as those of a pipeline are, and refused with the place of every mistake.
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { siteFiles } from '../../core/config/options-file.ts'
import type { OptionSchemas } from '../../core/plugin/options.ts'

const OPTIONS = {
  names: { type: 'array', items: { type: 'string', description: 'A name' }, required: true, description: 'Names' },
  secret: { type: 'string', description: 'A secret' },
  count: { type: 'integer', default: 3, description: 'How many' },
} as const satisfies OptionSchemas

function read(t: Test, files: Record<string, string | Buffer>) {
  const folder = t.testdir(files as Record<string, string>)
  return { folder, read: () => siteFiles().optionsFile(join(folder, 'list.yaml'), OPTIONS) }
}

t.test('values, defaults, and secrets from files beside it', async t => {
  const { folder, read: file } = read(t, { 'list.yaml': `names: [a, b]\nsecret: \${secret:file:key}\n`, key: 'sesame\n' })
  const { options, secretFile } = file()
  t.same(options, { names: ['a', 'b'], secret: 'sesame', count: 3 })
  t.equal(secretFile('sesame'), join(folder, 'key'))
  t.equal(secretFile('other'), undefined)
})

t.test('every mistake is named with its place and its remedy', async t => {
  for (const [text, said] of [
    ['names: [a]\ncount: many\nmore: 1\n', [/list\.yaml:2:8.*count/, /list\.yaml:3:1.*more/]],
    ['count: 1\n', [/list\.yaml:1:1.*names/]],
    ['- a\n', [/list\.yaml:1:1.*the file must be a map with names, secret, count/]],
    [Buffer.from([0x6e, 0xff]), [/list\.yaml:1:1.*is not UTF-8; save it as UTF-8/]],
    [`# ${'x'.repeat(1024 * 1024)}`, [/list\.yaml:1:1.*has 1048578 bytes; it may have at most 1048576/]],
  ] as const) {
    const { read: file } = read(t, { 'list.yaml': text })
    for (const sentence of said) t.throws(file, { message: sentence })
  }
  t.throws(read(t, {}).read, { message: /the file cannot be read: there is no such file/ })
})
