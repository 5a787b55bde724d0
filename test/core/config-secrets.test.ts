// No secret, however it came into the file and however a plugin quotes it, is in an error.
import { chmodSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { stringify } from 'yaml'
import { loadPipeline } from '../../core/config/load.ts'
import { ConfigError } from '../../core/config/problem.ts'

const plugins = fileURLToPath(new URL('../fixtures/config/plugins/', import.meta.url))
const SECRETS = [
  'hunter2hunter2',
  'p@ss"w0rd',
  "it's-quoted",
  'back\\slash\\n',
  'spaces in it  and é ü',
  '-----BEGIN KEY-----\nMIIabcdef0123456789\nqwertzuiopasdfgh\n-----END KEY-----',
  'a%20b&c=d',
  '$NOT {a} *** ^.*$',
  'xyz',
  '0123456789',
]

async function errorOf(file: string, env: Record<string, string>): Promise<ConfigError> {
  try {
    await loadPipeline(file, { env })
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('there is no error')
}

for (const [index, secret] of SECRETS.entries()) {
  t.test(`secret ${index}`, async t => {
    const folder = t.testdir({ key: secret })
    chmodSync(resolve(folder, 'key'), 0o600)
    const forms = (part: string) => [part, JSON.stringify(part).slice(1, -1), encodeURIComponent(part)]
    const written = [
      secret,
      `\${SECRET}`,
      `prefix \${SECRET}`,
      `\${secret:file:key}`,
      `\${NONE:-${secret.replaceAll(/[{}]/g, '')}}`,
    ]
    for (const defaultStringType of ['PLAIN', 'BLOCK_LITERAL'] as const) {
      for (const value of written) {
        const filters = [
          { type: `${plugins}check.ts`, id: 'quoted', secret: value },
          { type: `${plugins}check.ts`, id: 'misspelt', secret: value, anythign: 1 },
          { type: `${plugins}check.ts`, id: 'list', secret: [value] },
          { type: `${plugins}check.ts`, id: 'unknown', client_secret: value },
          { type: 'no_such_plugin', id: 'nobody', password: value },
        ]
        const text = stringify({ inputs: [], filters, outputs: [] }, { defaultStringType, lineWidth: 60 })
        const contents = [text]
        // Broken YAML too: then no schema says what is secret.
        if (value === secret) {
          contents.push(`${text}\n  - id: last\n    private_key: |\n      x\n${secret}\n: :`)
          contents.push(`${text}\n  client_secret: ${secret.replaceAll('\n', ' ')}: y: z\n`)
          contents.push(text.replace('id: quoted', 'id: quoted: x'), text.replace('password:', 'password: "'))
        }
        for (const content of contents) {
          const file = resolve(folder, 'x.yaml')
          writeFileSync(file, content)
          const error = await errorOf(file, { SECRET: secret })
          const shown = [error.format(), error.message, JSON.stringify(error.problems)].join('\n')
          const parts = secret.split('\n').filter(part => part.length > 3 || secret.length <= 3)
          const leaks = parts.flatMap(forms).filter(part => shown.includes(part))
          if (leaks.length > 0) t.fail(`${index} ${defaultStringType} leaks`, { content, shown })
        }
      }
    }
    t.pass('nothing was shown')
  })
}
