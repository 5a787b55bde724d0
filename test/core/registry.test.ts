// Plugins are found by name, path and package, imported only when asked for, and refused in a sentence.
import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import t from 'tap'
import { KINDS } from '../../core/plugin/define.ts'
import { isPath, listPlugins, loadPlugin, pluginName, pluginNames } from '../../core/plugin/registry.ts'

const fixtures = fileURLToPath(new URL('../fixtures/config/plugins/', import.meta.url))
const plugins = fileURLToPath(new URL('../../plugins/', import.meta.url))

t.test('a built-in plugin is its file’s name', async t => {
  const { plugin, url } = await loadPlugin('filter', 'drop', '/')
  t.equal(plugin.kind, 'filter')
  t.equal(url, pathToFileURL(`${plugins}filters/drop.ts`).href)
})

t.test('the list has every file of plugins/, sorted, and nothing else', async t => {
  for (const kind of KINDS) {
    const files = readdirSync(`${plugins}${kind}s`).filter(name => !name.endsWith('.md'))
    t.strictSame(await pluginNames(kind), files.map(name => name.replace(/\.ts$/, '')).sort(), kind)
  }
  const filters = await listPlugins('filter')
  t.match(
    filters.find(({ name }) => name === 'drop'),
    { kind: 'filter', plugin: { summary: /Drops/ }, url: /filters\/drop\.ts$/ },
  )
  t.ok(filters.every(({ kind, plugin }) => kind === 'filter' && plugin.kind === 'filter'))
})

t.test('a path counts from the pipeline’s folder; a folder stands for its index', async t => {
  t.equal((await loadPlugin('filter', './check.ts', fixtures)).url, pathToFileURL(`${fixtures}check.ts`).href)
  t.equal((await loadPlugin('filter', '../plugins/check.ts', fixtures)).plugin.kind, 'filter')
  t.equal((await loadPlugin('filter', `${fixtures}check.ts`, '/')).plugin.kind, 'filter')
  const folder = t.testdir({
    mine: { 'index.ts': `export { default } from ${JSON.stringify(`${fixtures}check.ts`)}` },
    empty: {},
  })
  t.match(await loadPlugin('filter', './mine', folder), { url: /mine\/index\.ts$/ })
  await t.rejects(loadPlugin('filter', './empty', folder), {
    code: 'PEN_PLUGIN',
    message: /holds no plugin: it needs an index\.ts/,
  })
  await t.rejects(loadPlugin('filter', './chekc.ts', fixtures), {
    message: /no plugin file .*chekc\.ts; did you mean check\.ts\?/,
  })
})

t.test('a package is looked for from the pipeline’s folder', async t => {
  const module = `export default { kind: 'filter', summary: 'x', options: {}, examples: [{}], create: () => ({}) }\n`
  const one = (exports: unknown, file = 'index.js', content = module) => ({
    'package.json': JSON.stringify({ name: 'x', version: '1.0.0', type: 'module', exports }),
    [file]: content,
  })
  const folder = t.testdir({
    pipelines: { 'x.yaml': '' },
    node_modules: {
      plain_filter: one('./index.js'),
      '@acme': { mask: one({ import: './index.js' }), sub: one({ './filter': { import: { node: './index.js' } } }) },
      'in-ts': one('./index.ts', 'index.ts'),
      'no-plugin': one('./index.js', 'index.js', 'export const x = 1'),
      input: one('./index.js', 'index.js', module.replace('filter', 'input')),
    },
  })
  const at = resolve(folder, 'pipelines')
  for (const type of ['plain_filter', '@acme/mask', '@acme/sub/filter']) {
    t.match(await loadPlugin('filter', type, at), { plugin: { kind: 'filter' }, url: /^file:.*index\.js$/ }, type)
  }
  await t.rejects(loadPlugin('filter', '@acme/sub', at), { message: /exports no module of that name/ })
  await t.rejects(loadPlugin('filter', 'in-ts', at), { message: /is TypeScript in a package.*must be published as JavaScript/ })
  await t.rejects(loadPlugin('filter', 'no-plugin', at), {
    message: /no-plugin is no plugin: its default export must come from defineFilter\(\)/,
  })
  await t.rejects(loadPlugin('filter', 'input', at), { message: /input is an input, not a filter/ })
  await t.rejects(loadPlugin('filter', '@acme/nothing', at), { message: /no package @acme\/nothing; install it/ })
  await t.rejects(loadPlugin('filter', 'plain_filter', '/'), { message: /unknown filter plain_filter/ })
})

t.test('what is no plugin is refused with a guess', async t => {
  await t.rejects(loadPlugin('filter', 'drpo', '/'), { code: 'PEN_PLUGIN', message: 'unknown filter drpo; did you mean drop?' })
  await t.rejects(loadPlugin('output', 'drop', '/'), { message: 'drop is a filter, not an output' })
  await t.rejects(loadPlugin('input', './check.ts', fixtures), { message: './check.ts is a filter, not an input' })
  await t.rejects(loadPlugin('filter', './nothing.ts', fixtures), {
    message: /no plugin: its default export must come from defineFilter\(\)/,
  })
  await t.rejects(loadPlugin('filter', './broken.ts', fixtures), {
    message: /cannot be loaded: no such thing/,
    cause: { message: 'no such thing' },
  })
  for (const type of ['', '..', 'a b', 'node:fs', 'x/../../y', 'https://example.org/x.js', 'constructor']) {
    await t.rejects(loadPlugin('filter', type, fixtures), { code: 'PEN_PLUGIN' }, JSON.stringify(type))
  }
})

t.test('only the plugins that are named are imported', async t => {
  const folder = t.testdir({
    'a.ts': `globalThis.imported = [...(globalThis.imported ?? []), 'a']\nexport { default } from ${JSON.stringify(`${fixtures}check.ts`)}`,
    'b.ts': `globalThis.imported = [...(globalThis.imported ?? []), 'b']\nexport { default } from ${JSON.stringify(`${fixtures}check.ts`)}`,
  })
  await loadPlugin('filter', './a.ts', folder)
  await loadPlugin('filter', './a.ts', folder)
  t.strictSame((globalThis as { imported?: string[] }).imported, ['a'])
})

t.test('the name of a plugin', async t => {
  t.equal(pluginName('file'), 'file')
  t.equal(pluginName('./plugins/my_filter.ts'), 'my_filter')
  t.equal(pluginName('/x/mine/index.js'), 'mine')
  t.equal(pluginName('@acme/penstock-mask'), 'penstock-mask')
  t.strictSame(['./x', '../x', '/x', 'x', '@a/b', '.x', 'x/y'].map(isPath), [true, true, true, false, false, false, false])
})
