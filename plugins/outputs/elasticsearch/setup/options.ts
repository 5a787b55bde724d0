// What is asked of setup, checked before anything is sent.
import { PenstockError } from '../../../../core/plugin/errors.ts'
import type { TemplateOptions } from './templates.ts'

export interface SetupOptions extends TemplateOptions {
  /** Reads what the cluster has, and changes nothing. */
  readonly dryRun?: boolean
  /** Takes the place of templates by the same names that are not Penstock's. */
  readonly force?: boolean
}

const TIME = /^[1-9]\d*[dhms]$/
/** What Elasticsearch allows in a part of a data stream's name; `-` parts them. */
const DATA_SET = /^[^-\s,:#\\/?"<>|A-Z*][^-\s,:#\\/?"<>|A-Z]*$/
const POLICY = /^[^\s,_"][^\s,"]*$/

/** Throws a PenstockError (PEN_USAGE) that names the flag. */
export function checkOptions({ priority, datasets = [], retention, ilmPolicy }: SetupOptions): void {
  if (priority !== undefined && !(Number.isInteger(priority) && priority >= 0))
    throw refused('--priority', `${priority} is no priority: it is a whole number, such as 500`)
  for (const dataset of datasets)
    if (!DATA_SET.test(dataset))
      throw refused('--dataset', `"${dataset}" is no data set: small letters and no -, such as nginx.access`)
  if (retention !== undefined && !TIME.test(retention))
    throw refused('--retention', `"${retention}" is no time: a number and d, h, m or s, such as 90d`)
  if (ilmPolicy !== undefined && !POLICY.test(ilmPolicy))
    throw refused('--ilm-policy', `"${ilmPolicy}" is no name of a policy: no blanks, commas or quotes, and no _ first`)
}

function refused(flag: string, why: string): PenstockError {
  return new PenstockError('PEN_USAGE', `${flag}: ${why}`)
}
