// penstock setup elasticsearch, as far as the list of commands must know it: the command itself is loaded when it is called.
import type { Verb } from '../../../../core/plugin/define.ts'

const usage = `Usage: penstock setup elasticsearch PIPELINE [OPTION …]

Installs component and index templates for what the elasticsearch outputs of a pipeline write: the fields of the Elastic Common Schema and
those of Penstock's data sets with their types, in data streams logs-<event.dataset>-<namespace> and in the indices that the outputs name.
Templates that are not Penstock's are left alone, and nothing is changed when one of them would take the place of Penstock's. Run it
again after an update: it says what is new. Your own settings and fields go into a component template penstock@custom, which it never touches.

  --dry-run             prints the requests, and says what they would change
  --print-role          prints the least privileges that a run needs, and those that setup needs, as API keys to be made; sends nothing
  --api-key-env NAME    environment variable with the API key for setup, where the output's own may not install templates
  --user NAME           or a user, whose password is in the variable of --password-env
  --password-env NAME
  --priority N          priority of the index templates (default 500; Elastic's own have up to 200)
  --dataset NAME        event.dataset of events of your own: their data streams get the types of ECS (may be given again)
  --retention TIME      documents are deleted after so long, such as 90d (default: never)
  --ilm-policy NAME     index lifecycle management in the place of a data stream lifecycle; made when there is no such policy
  --index-mode MODE     standard or logsdb (default: what the cluster does with logs)
  --failure-store       Elasticsearch keeps what it refuses (default: it is a dead letter of Penstock)
  --force               takes the place of templates with Penstock's names that are not Penstock's
  --dashboards FILE     writes the dashboards for Kibana into a file for its import (Stack Management, Saved Objects)
  --kibana URL          imports them, with the same credentials
  --space NAME          into this space

Exit codes: 0 when all is as it should be, 1 when something is in the way, 2 for a wrong command line, 78 for a wrong pipeline file.

Examples
  penstock setup elasticsearch o365.yaml --dry-run
  SETUP_KEY=… penstock setup elasticsearch o365.yaml --api-key-env SETUP_KEY --retention 365d --kibana https://kibana.example:5601
  penstock setup elasticsearch o365.yaml --print-role`

export const setupVerb: Verb = {
  summary: 'Templates for Elasticsearch, least privileges, dashboards for Kibana',
  usage,
  run: async args => (await import('./command.ts')).verb.run(args),
}
