// Maps Microsoft's records to the Elastic Common Schema. Each data set is a file of this folder.
import { defineFilter } from '../../../core/plugin/define.ts'
import { PermanentError } from '../../../core/plugin/errors.ts'
import { isObject, type JsonObject } from '../../../core/plugin/json.ts'
import { redactMatchedValues } from '../../lib/microsoft/matched-values.ts'
import type { DataSet, Settings } from './data-set.ts'
import { under } from './draft.ts'
import { messageTrace } from './message-trace.ts'
import { o365Audit } from './o365-audit.ts'

/** Every data set by the name that `dataset` takes, in the order in which records are tried. */
const DATA_SETS = { 'o365.audit': o365Audit, message_trace: messageTrace } as const satisfies Record<
  string,
  (settings: Settings) => DataSet
>

/** How many of a record's keys an error names. */
const NAMED_KEYS = 12

export default defineFilter({
  summary: 'Maps Microsoft 365 records to the Elastic Common Schema',
  description: `Every document has \`@timestamp\`, \`event.id\`, \`event.action\` and \`event.dataset\`, the ECS fields that
Elastic's own integrations give the record, and what is left of the record below \`o365.audit\` or
\`microsoft.online_message_trace\`.

- \`event.id\` is the record's own id; without one, a hash of its bytes. For message trace it is made of trace id, recipient and
  status, so that a row which changes from pending to delivered becomes a second document.
- \`event.action\` is the operation; a record without one gets the name of its record type, or \`unknown\`.
- \`@timestamp\` is the record's time. A record without one gets 1970-01-01 and the tag \`no_timestamp\`: the same whenever it is
  read. \`event.ingested\` is not set for the same reason; the destination knows it.
- What a DLP rule matched (\`DetectedValues\`) is removed from the record and from the event's source bytes. A record that is
  changed so lies in the dead letters as JSON, whatever the input's codec was.

Places and networks of addresses come from a \`geoip\` filter behind this one.`,
  options: {
    tenants: {
      type: ['object', 'array'],
      additionalProperties: { type: 'string', minLength: 1 },
      items: {
        type: 'object',
        properties: {
          tenant_id: { type: 'string', required: true, description: "The tenant's object id" },
          name: { type: 'string', minLength: 1, description: 'Its name' },
        },
        additionalProperties: true,
      },
      default: {},
      description:
        'Names of tenants by their object ids: organization.name and host.name of their audit records. Also as the list that ' +
        'o365_activity has; events of that input know the name of their tenant without it',
    },
    domains: {
      type: 'array',
      items: { type: 'string', minLength: 1 },
      default: [],
      description:
        "The organisation's own mail domains, for the direction of traced messages; the Organization of a row counts as one",
    },
    dataset: {
      type: 'string',
      enum: ['auto', 'o365.audit', 'message_trace'],
      default: 'auto',
      description: 'What the records are; auto recognises each by its shape',
    },
    unknown: {
      type: 'string',
      enum: ['dead_letter', 'pass'],
      default: 'dead_letter',
      description: 'What becomes of a record that auto does not recognise; pass leaves it as it is',
    },
    keep_original: {
      type: 'boolean',
      default: false,
      description: 'Keep the record as it was read, as text in event.original',
    },
    keep_matched_values: {
      type: 'boolean',
      default: false,
      description: 'Keep the texts that DLP rules matched, which are card numbers and the like in clear text',
    },
  },
  examples: [
    {},
    { tenants: { '11111111-1111-1111-1111-111111111111': 'contoso.example' } },
    { dataset: 'message_trace', domains: ['contoso.example'] },
  ],
  create({ tenants, domains, dataset, unknown, keep_original, keep_matched_values }) {
    const settings: Settings = {
      tenants: new Map(namesOf(tenants).map(([id, name]) => [id.toLowerCase(), name])),
      domains: new Set(domains.map(domain => domain.toLowerCase())),
    }
    const forced = dataset === 'auto' ? undefined : DATA_SETS[dataset](settings)
    const all = Object.values(DATA_SETS).map(make => make(settings))
    const find = (record: JsonObject) => {
      for (const set of all) if (set.recognises(record)) return set
      return undefined
    }

    return {
      apply(event) {
        if (!keep_matched_values) redactMatchedValues(event)
        if (isOwn(event.fields)) return event
        const set = forced ?? find(event.fields)
        if (!set) {
          if (unknown === 'pass') return event
          throw new PermanentError(notRecognised(event.fields), { code: 'PEN_UNKNOWN_RECORD' })
        }
        set.map(event)
        if (keep_original) under(event.fields, 'event')['original'] = asText(event.original)
        return event
      },
    }
  },
})

type Tenants = Readonly<Record<string, string>> | readonly { readonly tenant_id: string; readonly name?: string }[]

function namesOf(tenants: Tenants): (readonly [id: string, name: string])[] {
  if (!Array.isArray(tenants)) return Object.entries(tenants as Readonly<Record<string, string>>)
  return tenants.flatMap(({ tenant_id, name }) => (name === undefined ? [] : [[tenant_id, name]]))
}

/** What an input of this project tells of itself (how complete it is, say) is ECS as it comes. */
function isOwn({ event }: JsonObject): boolean {
  return isObject(event) && event['module'] === 'penstock'
}

function notRecognised(record: JsonObject): string {
  const keys = Object.keys(record)
  const named = keys.slice(0, NAMED_KEYS).join(', ') + (keys.length > NAMED_KEYS ? ` and ${keys.length - NAMED_KEYS} more` : '')
  return `The ecs filter does not recognise this record as ${Object.keys(DATA_SETS).join(' or ')}: ${
    keys.length === 0 ? 'it is empty' : `its keys are ${named}`
  }. Say what such records are with dataset:, let them pass with unknown: pass, or keep them from this step with when:.`
}

function asText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).utf8Slice()
}
