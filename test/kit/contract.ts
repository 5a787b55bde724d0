// What every plugin of a kind must do, run on every plugin. A plugin and its cases are two files; nothing is registered.

import { readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { openDryRun } from '../../core/cli/dry-run.ts'
import { completeOptions } from '../../core/config/creation.ts'
import { compileExpression } from '../../core/config/expression.ts'
import { loadPipeline } from '../../core/config/load.ts'
import { siteFiles } from '../../core/config/options-file.ts'
import type { PipelineConfig } from '../../core/config/types.ts'
import { Pipeline } from '../../core/flow/pipeline.ts'
import type { Kind, Plugin, PluginOf } from '../../core/plugin/define.ts'
import type { Chunk, Codec, Site } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import type { OptionSchema } from '../../core/plugin/options.ts'
import { type Case, casesOf, folderOf, list } from './cases.ts'
import { imbalance, inProcess, listInput, listOutput } from './in-process.ts'
import { penstock } from './process.ts'

const RESERVED = new Set(['null', 'on', 'off', 'yes', 'no', 'true', 'false', 'y', 'n'])

/** Runs the contract and the cases of one plugin. */
export async function contract(t: Test, kind: Kind, name: string, plugin: Plugin): Promise<void> {
  await t.test('says what it is', async t => describes(t, kind, name, plugin))
  await t.test('refuses an option that it does not have', async t => {
    await t.rejects(completeOptions(plugin, { ...plugin.examples[0], no_such_option: 1 }, '/'))
  })
  await t.test('its examples are accepted', async t => {
    for (const example of plugin.examples) {
      const options = await completeOptions(plugin, { ...example }, t.testdir({}))
      t.ok(plugin.create(options, siteIn('/')), JSON.stringify(example))
    }
  })
  const cases = casesOf(kind, name)
  t.ok(cases && cases.length > 0, `has cases in test/fixtures/${kind}s/${name}.yaml`)
  const said = new Set(
    [...(cases ?? []).map(one => one.options ?? {}), ...plugin.examples].flatMap(options => Object.keys(options)),
  )
  for (const option of Object.keys(plugin.options)) t.ok(said.has(option), `option ${option} stands in a case or an example`)
  for (const one of cases ?? []) await t.test(one.name, async t => RUN[kind](t, name, one, plugin))
}

function describes(t: Test, kind: Kind, name: string, plugin: Plugin): void {
  t.equal(plugin.kind, kind)
  t.match(name, /^[a-z0-9][a-z0-9_]*$/, 'its name is snake_case')
  t.notOk(RESERVED.has(name), 'its name is no word that YAML reads as something else')
  t.ok(plugin.summary.length > 10 && !plugin.summary.endsWith('.'), 'a summary, without a final full stop')
  t.ok(plugin.examples.length > 0, 'an example')
  optionsAreDescribed(t, plugin.options, '')
}

function optionsAreDescribed(t: Test, options: Readonly<Record<string, OptionSchema>>, path: string): void {
  for (const [name, schema] of Object.entries(options)) {
    t.match(name, /^[a-z0-9][a-z0-9_]*$/, `${path}${name} is snake_case`)
    t.notOk(RESERVED.has(name), `${path}${name} is no word that YAML reads as something else`)
    if (path === '')
      t.ok(
        (schema.description ?? '').length > 5 && !schema.description?.endsWith('.'),
        `${name} has a description, without a final full stop`,
      )
    optionsAreDescribed(t, schema.properties ?? schema.items?.properties ?? {}, `${path}${name}.`)
  }
}

const RUN: Readonly<Record<Kind, (t: Test, name: string, one: Case, plugin: Plugin) => Promise<void>>> = {
  filter: filterCase,
  codec: codecCase,
  table: tableCase,
  input: inputCase,
  output: outputCase,
}

/** Loads the pipeline; undefined where the case expects that it is refused, and it was. */
async function loaded(t: Test, one: Case, file: string): Promise<PipelineConfig | undefined> {
  if (one.error === undefined) return (await loadPipeline(file)).config
  try {
    await loadPipeline(file)
    t.fail(`the options are accepted, expected: ${one.error}`)
  } catch (error) {
    t.ok((error as Error).message.includes(one.error), `"${(error as Error).message}" has "${one.error}"`)
  }
  return undefined
}

async function filterCase(t: Test, name: string, one: Case): Promise<void> {
  const { file } = folderOf(t, one, {
    name: 'kit',
    inputs: [{ type: 'stdin' }],
    ...(one.tables && { tables: one.tables }),
    filters: [{ type: name, id: 'subject', ...one.options }],
    outputs: [{ type: 'discard' }],
  })
  const config = await loaded(t, one, file)
  if (!config) return
  const dry = await openDryRun(config)
  try {
    const result = await dry.run(list(one.input), undefined, one.meta)
    const letters = one.dead_letters ?? list(one.dead_letter)
    t.equal(result.deadLetters.length, letters.length, `dead letters: ${result.deadLetters.join('; ')}`)
    letters.forEach((part, index) => {
      t.ok(result.deadLetters[index]?.includes(part), `"${result.deadLetters[index]}" has "${part}"`)
    })
    if (one.duplicates !== undefined) t.equal(result.duplicates, one.duplicates, 'duplicates')
    if (one.output !== undefined) t.strictSame(plain(result.events.map(({ fields }) => fields)), plain(list(one.output)))
    t.notOk('polluted' in {}, 'no prototype was touched')
  } finally {
    await dry.close()
  }
}

/** Undefined values and key order are no part of a document. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, item) =>
    item && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}

async function options(t: Test, one: Case, plugin: Plugin, folder: string): Promise<JsonObject | undefined> {
  try {
    const complete = await completeOptions(plugin, one.options ?? {}, folder)
    plugin.create(complete, siteIn(folder))
    if (one.error !== undefined) t.fail(`the options are accepted, expected: ${one.error}`)
    return one.error === undefined ? complete : undefined
  } catch (error) {
    if (one.error === undefined) throw error
    t.ok((error as Error).message.includes(one.error), `"${(error as Error).message}" has "${one.error}"`)
    return undefined
  }
}

function siteIn(folder: string): Site {
  return {
    id: 'subject',
    folder,
    expression: text => compileExpression(text),
    table: () => ({ lookup: () => undefined }),
    ...siteFiles(),
  }
}

async function codecCase(t: Test, _name: string, one: Case, plugin: Plugin): Promise<void> {
  const complete = await options(t, one, plugin, '/')
  if (!complete) return
  const stream =
    one.text !== undefined
      ? Buffer.from(one.text)
      : one.hex !== undefined
        ? Buffer.from(one.hex.replace(/\s/g, ''), 'hex')
        : Buffer.from(one.base64 ?? '', 'base64')
  for (const size of [stream.length || 1, 1, 7]) {
    const codec = (plugin as PluginOf<'codec'>).create(complete, siteIn('/'))
    const { events, letters } = decodeAll(codec, stream, size)
    t.strictSame(plain(events), plain(one.events ?? []), `events, in pieces of ${size} bytes`)
    const expected = one.dead_letters ?? []
    t.equal(letters.length, expected.length, `dead letters, in pieces of ${size} bytes: ${letters.join('; ')}`)
    expected.forEach((part, index) => {
      t.ok(letters[index]?.includes(part), `"${letters[index]}" has "${part}"`)
    })
  }
}

/** What a codec makes of a stream that comes in pieces of `size` bytes. */
export function decodeAll(codec: Codec, stream: Buffer, size: number): { events: JsonObject[]; letters: string[] } {
  const events: JsonObject[] = []
  const letters: string[] = []
  const take = (chunks: Iterable<Chunk>) => {
    for (const { bytes, ends, starts, count = ends.length, meta = {}, faults = [] } of chunks) {
      let start = 0
      for (let record = 0; record < count; record++) {
        if (starts) start = starts[record] as number
        const end = ends[record] as number
        try {
          events.push(...list(codec.decode(bytes.subarray(start, end), meta)))
        } catch (error) {
          letters.push((error as Error).message)
        }
        start = end + 1
      }
      letters.push(...faults.map(({ reason }) => reason))
    }
  }
  const framer = codec.framer({})
  for (let at = 0; at < stream.length; at += size) take(framer.push(stream.subarray(at, at + size)))
  take(framer.end())
  return { events, letters }
}

async function tableCase(t: Test, _name: string, one: Case, plugin: Plugin): Promise<void> {
  const { folder } = folderOf(t, one, {})
  let view: ReturnType<ReturnType<PluginOf<'table'>['create']>['view']>
  try {
    const complete = await completeOptions(plugin, one.options ?? {}, folder)
    const table = (plugin as PluginOf<'table'>).create(complete, siteIn(folder))
    view = table.view(await table.load?.(new AbortController().signal))
  } catch (error) {
    if (one.error === undefined) throw error
    t.ok((error as Error).message.includes(one.error), `"${(error as Error).message}" has "${one.error}"`)
    return
  }
  if (one.error !== undefined) t.fail(`the table is accepted, expected: ${one.error}`)
  for (const [key, expected] of Object.entries(one.lookups ?? {}))
    t.strictSame(plain(view.lookup(key) ?? null), plain(expected), key)
}

async function inputCase(t: Test, name: string, one: Case): Promise<void> {
  const step = { type: name, id: 'subject', ...(one.codec !== undefined && { codec: one.codec }), ...one.options }
  if (one.stdin !== undefined) {
    const { folder, file } = folderOf(t, one, { name: 'kit', inputs: [step], outputs: [{ type: 'stdout' }] })
    const { code, stdout, stderr } = await penstock(['run', file, '--log-level', 'error'], { cwd: folder, input: one.stdin })
    t.equal(code, 0, stderr)
    t.strictSame(plain(lines(stdout)), plain(one.events ?? []))
    return
  }
  const { file } = folderOf(t, one, { name: 'kit', inputs: [step], outputs: [{ type: 'discard' }] })
  let config: PipelineConfig | undefined
  try {
    config = await loaded(t, one, file)
  } finally {
    if (one.error !== undefined && !config) t.comment('refused as expected')
  }
  if (!config) return
  const delivered: JsonObject[] = []
  const { config: own, store, parts } = inProcess({ inputs: {}, outputs: { out: { output: listOutput(delivered) } } })
  const end = await new Pipeline({ ...own, inputs: config.inputs }, parts).run()
  t.equal(end.status, 'ended', end.error?.message ?? '')
  if (one.count !== undefined) t.equal(delivered.length, one.count)
  if (one.events) t.strictSame(plain(delivered), plain(one.events))
  const letters = await store.letters.list({})
  const expected = one.dead_letters ?? []
  t.equal(letters.length, expected.length, `dead letters: ${letters.map(({ error }) => error).join('; ')}`)
  expected.forEach((part, index) => {
    t.ok(letters[index]?.error.includes(part), `"${letters[index]?.error}" has "${part}"`)
  })
  t.strictSame(imbalance(end.figures), [], 'conservation')
}

async function outputCase(t: Test, name: string, one: Case): Promise<void> {
  const step = { type: name, id: 'subject', ...one.options }
  // Here `files` are what must be there afterwards.
  const { files, ...rest } = one
  const { folder, file } = folderOf(t, rest, { name: 'kit', inputs: [{ type: 'stdin' }], outputs: [step] })
  if (one.stdout !== undefined) {
    const input = list(one.input).map(record => `${JSON.stringify(record)}\n`)
    const { code, stdout, stderr } = await penstock(['run', file, '--log-level', 'error'], { cwd: folder, input: input.join('') })
    t.equal(code, 0, stderr)
    t.equal(stdout, one.stdout)
    return
  }
  const config = await loaded(t, one, file)
  if (!config) return
  const { config: own, store, parts } = inProcess({ inputs: { in: listInput(list(one.input)) }, outputs: {} })
  const outputs = config.outputs.map(output => ({ ...output, folder }))
  const end = await new Pipeline({ ...own, outputs }, parts).run()
  t.equal(end.status, 'ended', end.error?.message ?? '')
  t.strictSame(imbalance(end.figures), [], 'conservation')
  const letters = await store.letters.list({})
  const expected = one.dead_letters ?? []
  t.equal(letters.length, expected.length, `dead letters: ${letters.map(({ error }) => error).join('; ')}`)
  expected.forEach((part, index) => {
    t.ok(letters[index]?.error.includes(part), `"${letters[index]?.error}" has "${part}"`)
  })
  for (const [path, text] of Object.entries(files ?? {}))
    t.equal(await readFile(join(folder, path), 'utf8').catch(() => `no ${path}; there are ${readdirSync(folder)}`), text, path)
}

function lines(text: string): unknown[] {
  return text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
}
