// Work on files, pages, lists and their sharing in SharePoint and OneDrive (record types 4, 6, 14 and 36).
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import { OFFICE, WEB_CLIENT } from '../apps.ts'
import { driveOf, type Site } from '../tenant.ts'
import { drawFile, drawFolder, type FileName } from '../words.ts'
import type { Scene } from '../world.ts'
import { head } from './common.ts'

const SYNC_CLIENT = 'Microsoft SkyDriveSync 25.065.0406.0002 ship; Windows NT 10.0 (26100)'

function drawSite({ draw, tenant, user }: Scene, personal: number): Site {
  return draw.chance(personal) ? driveOf(user, tenant) : draw.pick(tenant.sites)
}

function siteHead(scene: Scene, type: number, operation: string, site: Site, itemType: string): JsonObject {
  const { draw, user } = scene
  const record = head(scene, {
    type,
    operation,
    workload: site.personal ? 'OneDrive' : 'SharePoint',
    userKey: `i:0h.f|membership|${user.puid.toLowerCase()}@live.com`,
  })
  record['ClientIP'] = scene.address
  record['CorrelationId'] = draw.guid()
  record['EventSource'] = 'SharePoint'
  record['ItemType'] = itemType
  record['Site'] = site.site
  record['UserAgent'] = operation.startsWith('FileSync') ? SYNC_CLIENT : scene.device.userAgent
  record['WebId'] = site.web
  return record
}

// biome-ignore format: how often each happens is seen best in lines
const FILE_OPERATIONS = [
  'FileAccessed', 'FileAccessed', 'FileAccessed', 'FileAccessed', 'FileAccessed', 'FileAccessed', 'FileModified', 'FileModified', 'FileModified',
  'FileDownloaded', 'FileDownloaded', 'FileUploaded', 'FileUploaded', 'FilePreviewed', 'FilePreviewed', 'FileDeleted', 'FileRenamed', 'FileMoved',
  'FileCopied', 'FileRecycled', 'FileSyncDownloadedFull', 'FileSyncUploadedFull', 'FolderCreated', 'FolderModified',
] as const

/** The audit record of an action on a file or folder (record type 6). */
export function fileRecord(scene: Scene, operation: string = scene.draw.pick(FILE_OPERATIONS)): JsonObject {
  const { draw } = scene
  const site = drawSite(scene, 0.55)
  const isFolder = operation.startsWith('Folder')
  const file: FileName = isFolder ? { name: drawFolder(draw) || 'Documents', extension: '' } : drawFile(draw)
  const folder = [site.library, drawFolder(draw)].filter(Boolean).join('/')
  const record = siteHead(scene, 6, operation, site, isFolder ? 'Folder' : 'File')
  record['ObjectId'] = `${site.url}${folder}/${file.name}`
  record['ListId'] = site.list
  record['ListItemUniqueId'] = draw.guid()
  record['SiteUrl'] = site.url
  record['SourceRelativeUrl'] = folder
  record['SourceFileName'] = file.name
  record['SourceFileExtension'] = file.extension
  if (operation === 'FileRenamed' || operation === 'FileMoved' || operation === 'FileCopied') {
    record['DestinationRelativeUrl'] = operation === 'FileRenamed' ? folder : `${site.library}/Archive`
    record['DestinationFileName'] = operation === 'FileRenamed' ? `Old ${file.name}` : file.name
    record['DestinationFileExtension'] = file.extension
  }
  if (operation.startsWith('FileSync')) record['FileSyncBytesCommitted'] = String(draw.skewed(1_000, 60_000_000))
  if (operation === 'FileAccessed' && draw.chance(0.2)) {
    record['ImplicitShare'] = 'No'
    record['ApplicationId'] = OFFICE.id
    record['ApplicationDisplayName'] = OFFICE.name
  }
  record['HighPriorityMediaProcessing'] = false
  if (draw.chance(0.25)) {
    record['AppAccessContext'] = {
      AADSessionId: draw.guid(),
      CorrelationId: record['CorrelationId'],
      UniqueTokenId: draw.base64(24).replace(/[+/]/g, 'x'),
    }
  }
  return record
}

const SITE_OPERATIONS = [
  'PageViewed',
  'PageViewed',
  'PageViewed',
  'SiteCollectionCreated',
  'WebThemeApplied',
  'PermissionLevelAdded',
] as const

/** The audit record of an action on a page or site (record type 4). */
export function siteRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const site = drawSite(scene, 0.3)
  const operation = draw.pick(SITE_OPERATIONS)
  const page = operation === 'PageViewed'
  const record = siteHead(scene, 4, operation, site, page ? 'Page' : operation === 'SiteCollectionCreated' ? 'Site' : 'web')
  record['ObjectId'] = page ? `${site.url}SitePages/Home.aspx` : site.url.slice(0, -1)
  if (page) record['ListItemUniqueId'] = draw.guid()
  record['CustomUniqueId'] = page && draw.chance(0.5)
  if (operation === 'PermissionLevelAdded')
    record['EventData'] = '<Name>Contribute without delete</Name><BasePermissions>ViewListItems, AddListItems</BasePermissions>'
  return record
}

const SHARING = [
  'SharingSet',
  'SharingSet',
  'AddedToGroup',
  'AddedToGroup',
  'SecureLinkUsed',
  'AnonymousLinkCreated',
  'SharingRevoked',
] as const

/** The audit record of sharing (record type 14). Its relative path holds the file's name. */
export function sharingRecord(scene: Scene): JsonObject {
  const { draw, tenant } = scene
  const site = drawSite(scene, 0.6)
  const operation = draw.pick(SHARING)
  const group = operation === 'AddedToGroup'
  const file = drawFile(draw)
  const record = siteHead(scene, 14, operation, site, group ? 'web' : 'File')
  record['ObjectId'] = group ? site.url.slice(0, -1) : `${site.url}${site.library}/${file.name}`
  record['SiteUrl'] = site.url
  if (!group) {
    record['ListId'] = site.list
    record['ListItemUniqueId'] = draw.guid()
    record['SourceRelativeUrl'] = `${site.library}/${file.name}`
    record['SourceFileName'] = file.name
    record['SourceFileExtension'] = file.extension
  }
  if (operation === 'SecureLinkUsed' || operation === 'AnonymousLinkCreated') {
    record['UniqueSharingId'] = draw.guid()
    record['EventData'] = '<Type>View</Type>'
    return record
  }
  const guest = draw.chance(0.25)
  // Looks like XML, and is none: a blank in the name of an element.
  record['EventData'] = group ? `<Group>${site.title} Members</Group>` : '<Permissions granted>Contribute</Permissions granted>'
  record['TargetUserOrGroupType'] = group && draw.chance(0.4) ? 'SharePointGroup' : guest ? 'Guest' : 'Member'
  record['TargetUserOrGroupName'] = guest
    ? `partner_northwind.example#ext#@${tenant.initialDomain}`
    : tenant.user(draw.below(tenant.users)).upn
  return record
}

const LISTS = ['ListViewed', 'ListViewed', 'ListCreated', 'ListUpdated', 'ListItemCreated'] as const

/** The audit record of an action on a list (record type 36). */
export function listRecord(scene: Scene): JsonObject {
  const { draw } = scene
  const site = drawSite(scene, 0.3)
  const title = draw.pick(['Tasks', 'Assets', 'Visitors', 'Documents'])
  const record = siteHead(scene, 36, draw.pick(LISTS), site, 'List')
  record['ObjectId'] = `${site.url}Lists/${title}`
  record['ApplicationId'] = WEB_CLIENT.id
  record['ApplicationDisplayName'] = WEB_CLIENT.name
  record['DoNotDistributeEvent'] = true
  record['FromApp'] = false
  record['IsDocLib'] = title === 'Documents'
  record['ItemCount'] = draw.skewed(0, 4000)
  record['ListBaseTemplateType'] = title === 'Documents' ? '101' : '100'
  record['ListBaseType'] = title === 'Documents' ? 'DocumentLibrary' : 'GenericList'
  record['ListColor'] = ''
  record['ListIcon'] = ''
  record['ListId'] = draw.guid()
  record['ListTitle'] = title
  record['TemplateTypeId'] = ''
  return record
}
