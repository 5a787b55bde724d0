// Faults in the output azure_blob: blocks that are there twice, not at all, or in a blob of somebody else.
import { type Mutant, mutantsOf } from './mutant.ts'

const TESTS = ['plugins/azure-blob']

export const azureBlob: readonly Mutant[] = [
  ...mutantsOf('plugins/outputs/azure_blob/store.ts', TESTS, [
    {
      name: 'append-without-position',
      breaks: 'A block whose answer was lost is appended a second time',
      find: 'conditions: { appendPosition }',
      replace: 'conditions: {}',
    },
    {
      name: 'blob-overwritten',
      breaks: 'A blob is put in the place of one that has its name',
      find: "const ifNoneMatch = '*'",
      replace: 'const ifNoneMatch = undefined as unknown as string',
    },
    {
      name: 'other-layout-appended',
      breaks: 'Rows go below a header with other columns',
      find: '&& seen.metadata?.[LAYOUT_KEY] === layout',
      replace: '',
    },
    {
      name: 'container-made-unasked',
      breaks: 'A container with a mistyped name is made',
      find: 'made || !createContainer ||',
      replace: 'made ||',
    },
  ]),
  ...mutantsOf('plugins/outputs/azure_blob/series.ts', TESTS, [
    {
      name: 'foreign-block-taken',
      breaks: 'What somebody else appended counts as the block whose answer was lost',
      find: 'if (!(await store.holds(current.name, current.position, bytes, signal))) return false',
      replace: '',
    },
    {
      name: 'lost-block-again',
      breaks: 'A block whose answer was lost goes to the next blob, and is there twice',
      find: 'current.position = seen.length\n    current.blocks = seen.blocks\n    return true',
      replace: 'return false',
    },
    {
      name: 'endless-blobs',
      breaks: 'Where no blob can be appended to, new ones are made for ever',
      find: 'if (isClosed(failure) && current.position > 0)',
      replace: 'if (isClosed(failure) && series.number < 50)',
    },
    {
      name: 'blob-never-full',
      breaks: 'A blob gets more blocks than it takes',
      find: 'blocks >= maxBlocks ||',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/outputs/azure_blob/singles.ts', TESTS, [
    {
      name: 'single-named-anew',
      breaks: 'A batch whose answer was lost is there twice, under two names',
      find: 'this.#names.get(first) ?? dated',
      replace: 'dated',
    },
    {
      name: 'single-taken-for-its-own',
      breaks: 'A batch counts as delivered because another blob has its name',
      find: 'if (!there) {',
      replace: 'if (!there && !seen) {',
    },
  ]),
  ...mutantsOf('plugins/outputs/azure_blob/index.ts', TESTS, [
    {
      name: 'stored-blob-again',
      breaks: 'When one blob of a batch fails, the others get their part again with each try',
      find: 'items.filter(item => !stored.has(item))',
      replace: 'items.filter(item => item)',
    },
    {
      name: 'failure-of-one-blob-forgotten',
      breaks: 'A batch counts as delivered although one of its blobs failed',
      find: 'if (failures.length > 0) throw longest(failures)',
      replace: '',
    },
    {
      name: 'writer-not-kept',
      breaks: 'Each start of an engine begins blobs of its own',
      find: 'await rows.put([[WRITER_ROW, writer]])',
      replace: '',
    },
    {
      name: 'old-sas-for-ever',
      breaks: 'A SAS that was renewed in its file is not read',
      find: 'if (isRefusal(error) && secret.renew()) store = undefined',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/outputs/azure_blob/transport.ts', TESTS, [
    {
      name: 'azure-token-not-renewed',
      breaks: 'A token that the service refused is used until it ends',
      find: 'if (token !== undefined && answer.status === 401) tokens?.refuse(token)',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/outputs/azure_blob/blocks.ts', TESTS, [
    {
      name: 'short-event-refused',
      breaks: 'After a batch was too large for the service, single events that are not become dead letters',
      find: 'some.length === 1 ? this.#limit : this.#most',
      replace: 'this.#most',
    },
  ]),
  ...mutantsOf('plugins/outputs/azure_blob/names.ts', TESTS, [
    {
      name: 'name-leaves-folder',
      breaks: 'An event names a folder above its own',
      find: "if (name === '' || name === '.' || name === '..') return",
      replace: "if (name === '') return",
    },
  ]),
]
