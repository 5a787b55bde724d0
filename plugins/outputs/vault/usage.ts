// penstock remap, as far as `penstock help` must know it: the command itself is loaded when it is called.
import type { Verb } from '../../../core/plugin/define.ts'

const usage = `Usage: penstock remap PIPELINE --output ID --from TIME --to TIME [--set OPTION=VALUE …] [--replace] [ARGUMENT …]

Sends records of a vault through the pipeline's filters as they are now, under the same ids, to one of its outputs. Nothing is asked of the inputs,
and no dedupe filter leaves anything out. Works beside a running engine: it has a state of its own, and goes on where it was broken off when
it is called again with the same arguments.

  --output ID         the output that gets the events; the others get nothing
  --from, --to TIME   of @timestamp, as it was when the record was kept: from (inclusive) to (exclusive); 2026-05-01 or 2026-05-01T08:00:00Z
  --undated           also what had no @timestamp
  --set OPTION=VALUE  another value for an option of that output: a new target, as in --set index=audit-remapped or --set path=out/new.ndjson
  --replace           (elasticsearch) events take the place of their documents where these lie: the same as --set existing=replace
  --vault ID          which vault of the pipeline, where it has several
  --state-dir DIR     state of the remapping itself, with its dead letters (default: state/remap)

Give either --set (a new target) or --replace: without them what is there already stays as it is.

Exit codes: 0 when everything was sent, 1 when something failed or is left, 2 for a wrong command line, 78 for a wrong pipeline file.

Examples
  penstock remap o365.yaml --output siem --from 2026-05-01 --to 2026-06-01 --set index=audit-remapped
  penstock remap o365.yaml --output siem --from 2026-05-01 --to 2026-05-02 --replace`

export const remapVerb: Verb = {
  summary: 'Send records of a vault through the mapping as it is now, under the same ids',
  usage,
  run: async args => (await import('./remap.ts')).remap(args),
}
