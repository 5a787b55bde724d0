// penstock doctor, as far as `penstock help` must know it: the command itself is loaded when it is called.
import type { Verb } from '../../../../core/plugin/define.ts'

const usage = `Usage: penstock doctor PIPELINE [--json] [--start] [--tenant NAME_OR_ID] [--state-dir DIR] [--timeout SECONDS]

Looks at every tenant of the pipeline's Microsoft inputs: are cloud and URLs right, can the hosts be reached, does the clock agree, does a
token come and which roles are in it, how long is the credential good, is the audit log on, are the subscriptions enabled, how far has
the pipeline read. What is wrong is said with its remedy. Nothing is changed, unless --start is given. Works beside a running engine.

  --start           starts subscriptions that are missing or disabled; only that tells for certain that the audit log is off. Never
                    stops one, and leaves those alone that are enabled
  --tenant NAME     only this tenant, by its name or its id
  --state-dir DIR   where the pipeline keeps its state (default: state)
  --timeout SECONDS how long one request may take (default: 20)
  --json            one JSON object a tenant, a line each: {input, tenant, tenant_id, checks: [{check, status, message, remedy}]};
                    a check may stand there several times, with what it found; status is ok, warning, failed or unknown

Exit codes: 0 when nothing failed (there may be warnings), 1 when something did, 2 for a wrong command line, 78 for a wrong pipeline file.

Examples
  penstock doctor o365.yaml
  penstock doctor o365.yaml --tenant contoso.example --start
  penstock doctor o365.yaml --json | jq -r '.checks[] | select(.status == "failed") | .remedy'`

export const doctorVerb: Verb = {
  summary: 'Find out why a Microsoft tenant cannot be read, and what to do about it',
  usage,
  run: async args => (await import('./command.ts')).verb.run(args),
}
