// The content types of the Management Activity API: every audit record comes in one of them.

export const CONTENT_TYPES = [
  'Audit.AzureActiveDirectory',
  'Audit.Exchange',
  'Audit.SharePoint',
  'Audit.General',
  'DLP.All',
] as const
export type ContentType = (typeof CONTENT_TYPES)[number]
