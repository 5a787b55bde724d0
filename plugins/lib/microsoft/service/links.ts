// Links in answers are checked before a token goes with them: they come from outside, and a token is all that an attacker wants.
import { PenstockError } from '../../../../core/plugin/errors.ts'

/** How much of a link that is refused an error names. */
const NAMED = 120

/**
 * The URL of a link from an answer, when it leads to this tenant's feed on the host that the configuration names.
 *
 * @param base The feed's own root, as it was configured: `https://manage.office.com/api/v1.0/TENANT/activity/feed/`. A link may have
 *   another version in its path (`/api/v1/`), as one in Microsoft's own pages has.
 * @throws PEN_LINK_REFUSED: another scheme, host, port or tenant, a user name in it, or no URL at all.
 */
export function pinnedLink(link: string, base: URL): URL {
  const refuse = (why: string) =>
    new PenstockError('PEN_LINK_REFUSED', `refused a link in an answer (${why}): ${JSON.stringify(link.slice(0, NAMED))}`)
  let url: URL
  try {
    url = new URL(link)
  } catch {
    throw refuse('it is no URL')
  }
  if (url.username || url.password) throw refuse('it names a user')
  if (url.protocol !== base.protocol) throw refuse(`it is no ${base.protocol.slice(0, -1)} link`)
  if (url.host !== base.host) throw refuse(`it leads to ${url.host}, not to ${base.host}`)
  if (withoutVersion(url.pathname).indexOf(withoutVersion(base.pathname)) !== 0)
    throw refuse("it is not below this tenant's feed")
  return url
}

/** Tenant ids are GUIDs, which have no case; what follows the root keeps its own. */
function withoutVersion(path: string): string {
  return path.toLowerCase().replace(/\/v\d+(\.\d+)?\//, '/v/')
}
