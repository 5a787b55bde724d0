// Faults in how o365_activity deals with the service: what refusals mean, how fast it asks, where tokens go, and whom it believes.
import { type Mutant, mutantsOf } from './mutant.ts'

const FOLDER = 'plugins/inputs/o365_activity'
const SERVICE = 'plugins/lib/microsoft/service'
const REFUSALS = 'plugins/microsoft-service > rows 32, 33, 34, 35: what each refusal means, whatever its status and quotes'
const LINKS = 'plugins/microsoft-service > row 37: a link is followed only to the same host, the same tenant and the feed'
const RATE = 'plugins/microsoft-service > a budget is used to more than nine tenths, and never overdrawn in any minute'
const PAUSE =
  'plugins/microsoft-service > row 32: a refusal makes everybody wait, slows one tenant down, and is forgotten after a while'
const SUBSCRIPTIONS =
  'plugins/o365-subscriptions > rows 43, 46: subscriptions that are missing are started; one that is switched off is started again when the service lets it, and the gap is named'

export const o365Service: readonly Mutant[] = [
  ...mutantsOf(
    `${FOLDER}/subscriptions.ts`,
    [SUBSCRIPTIONS],
    [
      {
        name: 'restart-not-told',
        breaks: 'The time in which a subscription was off is passed over without a word',
        find: 'await restarted(type)',
        replace: '',
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/feed-client.ts`,
    [SUBSCRIPTIONS],
    [
      {
        name: 'token-not-renewed',
        breaks: 'A token that the service does not take any more is sent again and again',
        find: 'tokens.refuse(token)',
        replace: '',
        tests: [
          'plugins/o365-activity > row 31: a token that is not taken any more is renewed once, and the same page asked for again',
        ],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/webhook.ts`,
    ['plugins/o365-webhook > row 48: a webhook is validated, its hints make the input look, and a forged one gets nothing'],
    [
      {
        name: 'auth-id-not-compared',
        breaks: 'Whoever sends any AuthID is listened to',
        find: "typeof given !== 'string' || !timingSafeEqual(digest(given), wanted)",
        replace: "typeof given !== 'string'",
      },
      {
        name: 'auth-id-not-stored',
        breaks: 'Each start has another AuthID, and each subscription is started again',
        find: "await rows.put([['webhook', { auth_id: authId }]])",
        replace: '',
        tests: ['plugins/o365-webhook > after a restart the service knows the webhook, and it is not started again'],
      },
    ],
  ),
  ...mutantsOf(
    `${FOLDER}/tenant-feed.ts`,
    ['plugins/tenant-feed > a hint makes the feed list again, also one that comes while it lists'],
    [
      {
        name: 'hint-in-a-round-forgotten',
        breaks: 'A hint that comes while the feed is listed is followed at the next poll',
        find: 'if (this.#isHinted) return',
        replace: '',
      },
    ],
  ),
  ...mutantsOf(
    `${SERVICE}/failure.ts`,
    [REFUSALS],
    [
      {
        name: 'af20024-refused',
        breaks: 'AF20024 is an error that nobody can mend',
        find: "AF20024: 'enabled',",
        replace: '',
      },
      {
        name: 'af429-by-status',
        breaks: 'Throttling that comes with status 403 counts as a missing permission',
        find: "AF429: 'throttled',",
        replace: '',
      },
      {
        name: 'cooldown-not-known',
        breaks: 'The cooldown of a subscription counts as throttling of the whole tenant',
        find: 'if (COOLDOWN.test(body))',
        replace: 'if (COOLDOWN.test(String(status)))',
      },
    ],
  ),
  ...mutantsOf(
    `${SERVICE}/links.ts`,
    [LINKS],
    [
      {
        name: 'link-host-not-pinned',
        breaks: 'A token goes to whatever host an answer names',
        find: 'if (url.host !== base.host) throw',
        replace: 'if (!url.host) throw',
      },
      {
        name: 'link-path-not-pinned',
        breaks: "A token goes to another tenant's feed, or to another API of the host",
        find: '.indexOf(withoutVersion(base.pathname)) !== 0)',
        replace: '.indexOf(withoutVersion(base.pathname)) < -1)',
      },
    ],
  ),
  ...mutantsOf(
    `${SERVICE}/budget.ts`,
    [PAUSE],
    [
      {
        name: 'budget-ignored',
        breaks: 'Requests start at once, however many there were in this minute',
        find: 'const due = Math.max(this.#next, this.#pausedUntil)',
        replace: 'const due = this.#pausedUntil',
        tests: [RATE],
      },
      {
        name: 'refusal-not-waited-for',
        breaks: 'After a refusal the next request starts at once',
        find: 'this.#pausedUntil = Math.max(this.#pausedUntil, now + pause)',
        replace: 'this.#pausedUntil = now',
      },
      {
        name: 'refusal-slows-for-ever',
        breaks: 'A tenant that was refused once stays slow',
        find: 'this.#share = Math.min(1, this.#share + RECOVER_SHARE)',
        replace: '',
      },
    ],
  ),
  ...mutantsOf(
    `${SERVICE}/credentials.ts`,
    ['plugins/o365-tenants > a secret that Entra refuses is read again when its file changes, without a restart'],
    [
      {
        name: 'renewal-not-noticed',
        breaks: 'A new secret in its file is not tried before the long wait is over',
        find: 'changed: () => path !== undefined && stampOf(path) !== seen',
        replace: 'changed: () => false',
      },
    ],
  ),
]
