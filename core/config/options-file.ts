// Options that lie in a file of their own: read as those of a pipeline are, with places, environment, secrets and defaults.
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { OptionsFile, Site } from '../plugin/interfaces.ts'
import type { OptionSchemas, OptionValues } from '../plugin/options.ts'
import { Filler, readFailure } from './fill.ts'
import { BEGIN, ConfigError, Report } from './problem.ts'
import { type Reading, ValueReader } from './reader.ts'
import { parseYaml } from './yaml.ts'

/** What a site says of files: the same wherever a plugin is created. `secretFiles`: values → the files that hold them. */
export function siteFiles(secretFiles?: ReadonlyMap<string, string>): Pick<Site, 'secretFile' | 'optionsFile'> {
  return { secretFile: value => secretFiles?.get(value), optionsFile: readOptionsFile }
}

/**
 * Reads the file at once.
 * @throws ConfigError with every mistake of it
 */
function readOptionsFile<const P extends OptionSchemas>(path: string, options: P): OptionsFile<P> {
  const text = textOf(path)
  const report = new Report(path, typeof text === 'string' ? text : '')
  if (typeof text !== 'string') report.error(BEGIN, text.problem)
  const tree = report.failed ? undefined : parseYaml(report)
  if (tree && tree.kind !== 'map') report.error(tree, `the file must be a map with ${Object.keys(options).join(', ')}`)
  const folder = dirname(path)
  const filler = new Filler(report, process.env, folder)
  const reading: Reading = { report, filler, folder, apart: new Set() }
  const values =
    tree?.kind === 'map' ? new ValueReader(reading, { name: 'the file', place: tree, folder }).options(tree, options) : {}
  if (report.failed) throw new ConfigError(report.errors())
  return { options: values as OptionValues<P>, secretFile: value => filler.secretFiles.get(value) }
}

function textOf(path: string): string | { problem: string } {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'the file is not UTF-8; save it as UTF-8' }
    return { problem: `the file cannot be read: ${readFailure(error)}` }
  }
}
