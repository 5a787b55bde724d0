// The least privileges that Penstock needs in Elasticsearch: to run, and to set up.
import type { JsonObject } from '../../../../core/plugin/json.ts'

export interface Role {
  readonly name: string
  /** What an API key with it is for. */
  readonly purpose: string
  /** A role descriptor, as `POST /_security/api_key` takes it. */
  readonly descriptor: JsonObject
  /** Why it has each privilege. */
  readonly reasons: readonly (readonly [privilege: string, reason: string])[]
}

export interface RoleOptions {
  /** Of the data streams and indices, `*` allowed. */
  readonly names: readonly string[]
  /** The output looks repeats up. Default: true. */
  readonly lookUp?: boolean
  /** There is a lifecycle policy to be made. */
  readonly ilm?: boolean
}

const WRITES: Role['reasons'] = [
  ['create_doc', 'adds documents; it changes and deletes none'],
  ['auto_configure', 'the first document makes its data stream, and a new field its mapping'],
]
const LOOKS_UP: Role['reasons'] = [
  ['read', 'before a batch whose fate is unknown is sent again, its ids are looked up in the whole data stream'],
  ['maintenance', 'the refresh before that look-up'],
]

/** The role of the key in a pipeline's elasticsearch output. */
export function runRole({ names, lookUp = true }: RoleOptions): Role {
  const reasons = lookUp ? [...WRITES, ...LOOKS_UP] : WRITES
  return {
    name: 'penstock_run',
    purpose: 'the elasticsearch output of a pipeline',
    descriptor: {
      cluster: [],
      indices: [
        {
          names: [...names],
          privileges: reasons.map(([privilege]) => privilege),
        },
      ],
    },
    reasons,
  }
}

/** The role of whoever runs `penstock setup elasticsearch`. */
export function setupRole({ names, ilm = false }: RoleOptions): Role {
  return {
    name: 'penstock_setup',
    purpose: 'penstock setup elasticsearch, and doctor',
    descriptor: {
      cluster: ['manage_index_templates', ...(ilm ? ['manage_ilm'] : [])],
      indices: [{ names: [...names], privileges: ['view_index_metadata'] }],
    },
    reasons: [
      ['manage_index_templates', 'installs the templates'],
      ...(ilm ? [['manage_ilm', 'makes the lifecycle policy where there is none'] as const] : []),
      ['view_index_metadata', 'says which data streams exist already, and need a rollover'],
    ],
  }
}
