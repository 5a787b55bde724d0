// The dashboards for Kibana, as a file for its import.
import { type Dashboard, dashboardObjects } from './dashboard.ts'
import { DATA_VIEWS, dataViewObject } from './data-views.ts'
import { admin } from './definitions/admin.ts'
import { dlp } from './definitions/dlp.ts'
import { health } from './definitions/health.ts'
import { mail } from './definitions/mail.ts'
import { overview } from './definitions/overview.ts'
import { signIns } from './definitions/sign-ins.ts'
import type { SavedObject } from './saved-object.ts'

/** In the order of the file. */
const DASHBOARDS: readonly Dashboard[] = [overview, signIns, dlp, mail, admin, health]

/** Data views first, then each dashboard behind its panels: what is referred to comes before who refers to it. */
export function savedObjects(): SavedObject[] {
  return [...DATA_VIEWS.map(dataViewObject), ...DASHBOARDS.flatMap(dashboardObjects)]
}

export { toNdjson } from './saved-object.ts'
