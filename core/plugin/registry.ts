// Finds plugins by file name, path or package name, and imports only those that are asked for. Nothing is registered by hand.
import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createRequire, findPackageJSON } from 'node:module'
import { dirname, extname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { didYouMean } from '../config/suggest.ts'
import { KINDS, type Kind, type Plugin, type PluginOf } from './define.ts'
import { asError, errorCode, PenstockError } from './errors.ts'
import { isObject, type JsonObject } from './json.ts'

export interface LoadedPlugin<K extends Kind = Kind> {
  readonly plugin: PluginOf<K>
  /** Where its module lies: a worker imports it from here. */
  readonly url: string
}
export interface ListedPlugin {
  readonly name: string
  readonly kind: Kind
  readonly plugin: Plugin
  readonly url: string
}

/** `plugins/` beside `core/`: sources in a checkout, compiled files in the package. */
const ROOT = new URL('../../plugins/', import.meta.url)
const EXTENSION = extname(fileURLToPath(import.meta.url))
const NAME = /^[a-z0-9_]+$/
const PACKAGE = /^(?:@[\w.~-]+\/)?[\w.~-]+(?:\/[\w.~/-]+)?$/

/** True for a `type` that is a path: it counts from the pipeline's folder. */
export function isPath(type: string): boolean {
  return /^\.{0,2}[/\\]/.test(type) || isAbsolute(type)
}

/** The name that a plugin has by its `type`: a path's or package's last part that says something. */
export function pluginName(type: string): string {
  const parts = type.split(/[/\\]/).filter(Boolean)
  const last = (parts.at(-1) ?? '').replace(/\.[cm]?[jt]s$/, '')
  return last === 'index' && parts.length > 1 ? (parts.at(-2) as string) : last
}

/** Names of the built-in plugins of a kind, sorted; nothing is imported. */
export async function pluginNames(kind: Kind): Promise<string[]> {
  const folder = new URL(`${kind}s/`, ROOT)
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  return entries
    .map(entry => {
      if (entry.isDirectory()) return existsSync(new URL(`${entry.name}/index${EXTENSION}`, folder)) ? entry.name : ''
      return extname(entry.name) === EXTENSION ? entry.name.slice(0, -EXTENSION.length) : ''
    })
    .filter(name => NAME.test(name))
    .sort()
}

/**
 * Imports a plugin. `type` is a built-in plugin's name, a path (`./`, `../`, `/`) from `folder`, or a package that `folder` can
 * import.
 * @throws PenstockError (PEN_PLUGIN) that says what was looked for, or why the module is no such plugin
 */
export async function loadPlugin<K extends Kind>(kind: K, type: string, folder: string): Promise<LoadedPlugin<K>> {
  const url = isPath(type) ? await fromPath(type, folder) : (builtIn(kind, type) ?? (await fromPackage(kind, type, folder)))
  return { plugin: checked(kind, type, await load(type, url)) as PluginOf<K>, url }
}

/** Imports every built-in plugin, of one kind or of all, sorted by kind and name. */
export async function listPlugins(kind?: Kind): Promise<ListedPlugin[]> {
  const listed: ListedPlugin[] = []
  for (const one of kind ? [kind] : KINDS) {
    for (const name of await pluginNames(one))
      listed.push({ name, kind: one, ...(await loadPlugin(one, name, '/')) } as ListedPlugin)
  }
  return listed
}

function fail(message: string, options?: ErrorOptions): PenstockError {
  return new PenstockError('PEN_PLUGIN', message, options)
}

function builtIn(kind: Kind, name: string): string | undefined {
  if (!NAME.test(name)) return undefined
  for (const file of [`${kind}s/${name}${EXTENSION}`, `${kind}s/${name}/index${EXTENSION}`]) {
    const url = new URL(file, ROOT)
    if (existsSync(url)) return url.href
  }
  return undefined
}

async function fromPath(type: string, folder: string): Promise<string> {
  const path = resolve(folder, type)
  const found = await stat(path).catch(() => undefined)
  if (found?.isFile()) return pathToFileURL(path).href
  if (found?.isDirectory()) {
    const index = ['index.ts', 'index.js', 'index.mjs'].map(name => join(path, name)).find(existsSync)
    if (index) return pathToFileURL(index).href
    throw fail(`the folder ${path} holds no plugin: it needs an index.ts or index.js`)
  }
  const near = await nearFile(path)
  throw fail(`there is no plugin file ${path}${near}`)
}

async function nearFile(path: string): Promise<string> {
  const siblings = await readdir(dirname(path)).catch(() => [])
  return didYouMean(path.slice(dirname(path).length + 1), siblings)
}

async function fromPackage(kind: Kind, type: string, folder: string): Promise<string> {
  if (PACKAGE.test(type) && !type.split('/').includes('..')) {
    const base = pathToFileURL(join(resolve(folder), 'pipeline.js')).href
    try {
      return pathToFileURL(createRequire(base).resolve(type)).href
    } catch (error) {
      if (errorCode(asError(error)) === 'ERR_PACKAGE_PATH_NOT_EXPORTED') {
        const url = await importExport(type, base)
        if (url) return url
        throw fail(`the package ${type} exports no module of that name`, { cause: error })
      }
    }
  }
  throw fail(await unknown(kind, type))
}

/** The file of a package that exports to `import` alone, which Node resolves only for the importing module itself. */
async function importExport(type: string, base: string): Promise<string | undefined> {
  const file = findPackageJSON(type, base)
  if (!file) return undefined
  const { exports } = JSON.parse(await readFile(file, 'utf8')) as { exports?: unknown }
  const subpath = `.${type.slice((/^(?:@[^/]+\/)?[^/]+/.exec(type)?.[0] ?? '').length)}`
  const entries = isObject(exports) && Object.keys(exports).some(key => key.startsWith('.')) ? exports : { '.': exports }
  const target = condition((entries as JsonObject)[subpath])
  return target === undefined ? undefined : pathToFileURL(join(dirname(file), target)).href
}

function condition(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  if (!isObject(target)) return undefined
  for (const [name, value] of Object.entries(target)) {
    if (name === 'import' || name === 'node' || name === 'default') {
      const found = condition(value)
      if (found !== undefined) return found
    }
  }
  return undefined
}

async function unknown(kind: Kind, type: string): Promise<string> {
  for (const other of KINDS) {
    if (other !== kind && builtIn(other, type)) return `${type} is ${a(other)}, not ${a(kind)}`
  }
  if (type.includes('/')) return `there is no package ${type}; install it beside the pipeline, or begin a path with ./`
  const guess = didYouMean(type, await pluginNames(kind))
  return `unknown ${kind} ${type}${guess || `; see "penstock plugins" for those there are, or name a path (./my-${kind}.ts) or a package`}`
}

async function load(type: string, url: string): Promise<unknown> {
  try {
    return ((await import(url)) as { default?: unknown }).default
  } catch (thrown) {
    const error = asError(thrown)
    if (errorCode(error) === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING') {
      throw fail(`the plugin ${type} is TypeScript in a package, which Node does not run: it must be published as JavaScript`, {
        cause: error,
      })
    }
    throw fail(`the plugin ${type} cannot be loaded: ${error.message}`, { cause: error })
  }
}

function checked(kind: Kind, type: string, found: unknown): Plugin {
  const plugin = found as Plugin | undefined
  const capital = kind.charAt(0).toUpperCase() + kind.slice(1)
  if (!isObject(plugin) || typeof plugin.create !== 'function' || !isObject(plugin.options) || !KINDS.includes(plugin.kind)) {
    throw fail(`${type} is no plugin: its default export must come from define${capital}()`)
  }
  if (plugin.kind !== kind) throw fail(`${type} is ${a(plugin.kind)}, not ${a(kind)}`)
  return plugin
}

function a(kind: Kind): string {
  return kind === 'input' || kind === 'output' ? `an ${kind}` : `a ${kind}`
}
