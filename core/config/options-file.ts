// Options that lie in a file of their own: read as those of a pipeline are, with places, environment, secrets and defaults.
import { dirname } from 'node:path'
import type { OptionsFile, Site } from '../plugin/interfaces.ts'
import type { OptionSchemas, OptionValues } from '../plugin/options.ts'
import { Filler } from './fill.ts'
import { ConfigError } from './problem.ts'
import { readReport } from './read-report.ts'
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
  const report = readReport(path)
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
