// Faults in the setup of Elasticsearch and in the dashboards for Kibana.
import { type Mutant, mutantsOf } from './mutant.ts'

const SETUP = ['plugins/elasticsearch-setup']
const KIBANA = ['plugins/kibana-dashboards']

export const elasticsearchSetup: readonly Mutant[] = [
  ...mutantsOf('plugins/outputs/elasticsearch/setup/setup.ts', SETUP, [
    {
      name: 'setup-overwrites-others',
      breaks: "A template that is not Penstock's is overwritten",
      find: 'if (!isOurs(found) && !force)',
      replace: 'if (!isOurs(found) && force)',
    },
    {
      name: 'setup-goes-on-with-a-clash',
      breaks: 'Templates are installed although others take their place',
      find: 'refusals.push(...(await clashesOf(connection, options)))',
      replace: '',
    },
    {
      name: 'dry-run-writes',
      breaks: 'A dry run changes the cluster',
      find: 'if (!dryRun)',
      replace: 'if (!force)',
    },
    {
      name: 'setup-writes-all',
      breaks: 'What is as it should be is sent again',
      find: 'if (changes.length > 0) due.push(request)',
      replace: 'due.push(request)',
    },
  ]),
  ...mutantsOf('plugins/outputs/elasticsearch/setup/clashes.ts', SETUP, [
    {
      name: 'clash-of-equals-missed',
      breaks: 'A template of the same priority is not seen as a clash',
      find: 'if (otherPriority < priority) return []',
      replace: 'if (otherPriority <= priority) return []',
    },
    {
      name: 'overlap-needs-a-letter',
      breaks: 'A star that stands for nothing is not seen to match',
      find: 'from(i + 1, j) || (j < b.length && from(i, j + 1))',
      replace: '(j < b.length && from(i, j + 1))',
    },
  ]),
  ...mutantsOf('plugins/outputs/elasticsearch/setup/templates.ts', SETUP, [
    {
      name: 'record-with-sub-objects',
      breaks: 'A field that is text in one record and an object in another costs the second one',
      find: 'subobjects: false, ',
      replace: '',
    },
    {
      name: 'failure-store-on',
      breaks: 'What Elasticsearch refuses lies in its failure store and is no dead letter',
      find: 'failureStore = false }: TemplateOptions): JsonObject',
      replace: 'failureStore = true }: TemplateOptions): JsonObject',
    },
  ]),
  ...mutantsOf('plugins/outputs/elasticsearch/setup/differences.ts', SETUP, [
    {
      name: 'type-change-missed',
      breaks: 'A field of another type is not seen as a difference',
      find: 'if (had !== value) others',
      replace: 'if (had === undefined) others',
    },
  ]),
  ...mutantsOf('plugins/outputs/elasticsearch/setup/roles.ts', SETUP, [
    {
      name: 'run-may-delete',
      breaks: 'The key of a run may change and delete documents',
      find: "['create_doc', 'adds",
      replace: "['write', 'adds",
    },
  ]),
  ...mutantsOf('plugins/outputs/elasticsearch/dashboards/definitions/sign-ins.ts', KIBANA, [
    {
      name: 'panel-of-an-unknown-field',
      breaks: 'A panel asks for a field that no document has',
      find: "'o365.audit.LogonError', 'Reason'",
      replace: "'o365.audit.LogonErrors', 'Reason'",
    },
  ]),
  ...mutantsOf('plugins/outputs/elasticsearch/dashboards/dashboard.ts', KIBANA, [
    {
      name: 'panel-without-reference',
      breaks: 'A dashboard does not find its panels',
      find: ', type: panel.type, id: made.id }',
      replace: ', type: panel.type, id: name }',
    },
  ]),
  ...mutantsOf('plugins/outputs/elasticsearch/dashboards/kibana.ts', KIBANA, [
    {
      name: 'import-half-done',
      breaks: 'An import of which Kibana took a part counts as done',
      find: "said['successCount'] === objects.length",
      replace: 'true',
    },
    {
      name: 'kibana-key-in-clear',
      breaks: 'Credentials go over a connection that is not encrypted',
      find: "authorization !== undefined && base.protocol === 'http:'",
      replace: "authorization === undefined && base.protocol === 'http:'",
    },
  ]),
]
