// penstock reconcile, as far as `penstock help` must know it: the command itself is loaded when it is called.
import type { Verb } from '../../../../core/plugin/define.ts'

const usage = `Usage: penstock reconcile PIPELINE [--refill] [--deep] [--lost] [--tenant NAME_OR_ID] [--state-dir DIR] [--json]

Lists the audit feed of every tenant again, over the seven days that the service lists, and compares it with the ledger: was each
content that the service names acknowledged by every output? What is missing is named. Without --refill nothing is changed, and an
engine may be running.

  --refill          fetches what is missing through the pipeline to its outputs. The engine must be stopped: a running one finds such
                    content itself when it lists all days again (sweep_interval_ms)
  --lost            takes what was lost (it lies in the dead letters, by its name) for missing, too: to try it once more
  --deep            fetches what was acknowledged once more, too, and compares it with what is kept of it: how many records there were,
                    a hash of their bytes, and one of their ids. Blobs can grow. Takes a request for each
  --tenant NAME     only this tenant, by its name or its id
  --state-dir DIR   where the pipeline keeps its state (default: state)
  --json            one JSON object a line: one for each content with something to say, then one for each content type with its counts

States: missing (listed, and not in the ledger), waiting (on its way), lost (it could not be read), grown and changed (with --deep).
What is waiting or lost is no gap.

Exit codes: 0 when nothing is missing, or all of it was fetched; 1 otherwise; 75 with --refill beside a running engine.

Examples
  penstock reconcile o365.yaml
  penstock reconcile o365.yaml --deep --tenant contoso.example
  penstock reconcile o365.yaml --refill`

export const reconcileVerb: Verb = {
  summary: 'Prove that everything the audit feed lists was acknowledged, and fetch what was not',
  usage,
  run: async args => (await import('./command.ts')).reconcile(args),
}
