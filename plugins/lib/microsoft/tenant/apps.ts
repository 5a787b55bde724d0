// Microsoft's own applications, by the ids that it publishes for them: rules that watch sign-ins compare these.

export interface App {
  readonly id: string
  readonly name: string
}

export const GRAPH: App = { id: '00000003-0000-0000-c000-000000000000', name: 'Microsoft Graph' }
export const OFFICE: App = { id: 'd3590ed6-52b3-4102-aeff-aad2292ab01c', name: 'Microsoft Office' }
export const WEB_CLIENT: App = { id: '08e18876-6177-487e-b8b5-cf950c1e598c', name: 'SharePoint Online Web Client Extensibility' }
/** What people sign in to. */
export const APPS: readonly App[] = [
  OFFICE,
  { id: '1fec8e78-bce4-4aaf-ab1b-5451cc387264', name: 'Microsoft Teams' },
  { id: '27922004-5251-4030-b22d-91ecd9a37ea4', name: 'Outlook Mobile' },
  { id: 'de8bc8b5-d9f9-48b1-a8ad-b748da725064', name: 'Graph explorer' },
]
