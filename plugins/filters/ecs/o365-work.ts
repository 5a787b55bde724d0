// Exchange admin commands (record type 1), files and sharing (6, 14), Viva Engage groups (22) and teams (25).
import { isObject } from '../../../core/plugin/json.ts'
import { addNew, given, objects, text } from './draft.ts'
import { leaves } from './o365-keep.ts'
import type { Kind, Sort } from './o365-kinds.ts'

export const adminCommand: Kind = {
  fill(_record, { audit, users }) {
    const parameters = audit['Parameters']
    // The account that a command is about: who gets a permission, for instance.
    if (isObject(parameters)) addNew(users, text(parameters['User']))
  },
}

const access: Sort = { category: ['web', 'file'], type: ['info', 'access'] }
const change: Sort = { category: ['web', 'file'], type: ['info', 'change'] }
const creation: Sort = { category: ['web', 'file'], type: ['info', 'creation'] }
const deletion: Sort = { category: ['web', 'file'], type: ['info', 'deletion'] }

/** What an operation does to a file or folder; all others are of no type. */
const FILE_OPERATIONS: ReadonlyMap<string, Sort> = new Map([
  ['FileAccessed', access],
  ['FileAccessedExtended', access],
  ['FileDownloaded', access],
  ['FileFetched', access],
  ['FilePreviewed', access],
  ['FileSyncDownloadedFull', access],
  ['FileSyncDownloadedPartial', access],
  ['FileViewed', access],
  ['FileCheckedIn', change],
  ['FileModified', change],
  ['FileModifiedExtended', change],
  ['FileMoved', change],
  ['FileRenamed', change],
  ['FileRestored', change],
  ['FolderModified', change],
  ['FolderMoved', change],
  ['FolderRenamed', change],
  ['FolderRestored', change],
  ['FileSyncUploadedPartial', change],
  ['FileCopied', creation],
  ['FileSyncUploadedFull', creation],
  ['FileUploaded', creation],
  ['FolderCopied', creation],
  ['FolderCreated', creation],
  ['FileDeleted', deletion],
  ['FileDeletedFirstStageRecycleBin', deletion],
  ['FileDeletedSecondStageRecycleBin', deletion],
  ['FileRecycled', deletion],
  ['FileVersionsAllDeleted', deletion],
  ['FolderDeleted', deletion],
  ['FolderDeletedFirstStageRecycleBin', deletion],
  ['FolderDeletedSecondStageRecycleBin', deletion],
  ['FolderRecycled', deletion],
])

export const fileWork: Kind = {
  operations: FILE_OPERATIONS,
  moves: { ObjectId: leaves, SourceFileExtension: leaves, SourceFileName: leaves, SourceRelativeUrl: leaves },
  fill(record, { doc }) {
    const name = text(record['SourceFileName'])
    const extension = text(record['SourceFileExtension'])
    const directory = text(record['SourceRelativeUrl'])
    if (name !== undefined && extension !== undefined && directory !== undefined) doc['file'] = { directory, extension, name }
    else {
      const file = given({ directory, extension, name })
      if (file) doc['file'] = file
    }
    const original = text(record['ObjectId'])
    if (original !== undefined) doc['url'] = { original }
  },
}

export const group: Kind = {
  operations: new Map([['GroupCreation', { category: ['web', 'iam'], type: ['info', 'creation', 'group'] }]]),
  moves: { GroupName: leaves },
  fill(record, { doc }) {
    const name = text(record['GroupName'])
    if (name !== undefined) doc['group'] = { name }
  },
}

export const team: Kind = {
  operations: new Map([
    ['MemberAdded', { action: 'added-users-to-group', category: ['web', 'iam'], type: ['info', 'group', 'change'] }],
    ['TeamCreated', { action: 'added-group-account-to', category: ['web', 'iam'], type: ['info', 'group', 'creation'] }],
  ]),
  moves: { TeamName: leaves },
  fill(record, { doc, users }) {
    const name = text(record['TeamName'])
    if (name !== undefined) doc['group'] = { name }
    for (const member of objects(record['Members'])) addNew(users, text(member['UPN']))
  },
}
