// Faults in parts of o365_activity that only a service made up on the spot shows at will.
import { type Mutant, mutantsOf } from './mutant.ts'

const FOLDER = 'plugins/inputs/o365_activity'
const PARTS = ['plugins/feed-parts']

export const o365Parts: readonly Mutant[] = [
  ...mutantsOf(`${FOLDER}/blob-reading.ts`, PARTS, [
    {
      name: 'prefix-not-compared',
      breaks: 'A body that begins otherwise than before is read on in its middle: what was changed is lost',
      find: "if (skip === 0 && digest.copy().digest('base64url') !== from.digest) return this.#again(final)",
      replace: '',
    },
    {
      name: 'tries-endless',
      breaks: 'A blob that breaks each time is never given up, and holds the watermark back for ever',
      find: 'if (tries > MOST_TRIES) return this.#lose(',
      replace: 'if (tries > 1e9) return this.#lose(',
    },
  ]),
  ...mutantsOf(`${FOLDER}/fetching.ts`, PARTS, [
    {
      name: 'off-blob-not-put-back',
      breaks: 'A blob that could not be fetched while its subscription was off is passed over until the next start',
      find: 'state.ledger.putBack(blob)',
      replace: '',
    },
  ]),
  ...mutantsOf(`${FOLDER}/subscriptions.ts`, PARTS, [
    {
      name: 'cooldown-ignored',
      breaks: 'A start that the service asked to wait with is tried again in each round',
      find: ' && (this.#waiting.get(type) ?? now) <= now)',
      replace: ')',
    },
  ]),
  ...mutantsOf(`${FOLDER}/feed-client.ts`, PARTS, [
    {
      name: 'enabled-is-failure',
      breaks: 'A subscription that is on already (AF20024) counts as one that cannot be started',
      find: "if (!(error instanceof ServiceError && error.kind === 'enabled')) throw error",
      replace: 'throw error',
    },
  ]),
  ...mutantsOf(`${FOLDER}/listing.ts`, PARTS, [
    {
      name: 'overlap-ignored',
      breaks: 'Content that appears some minutes late, behind what was listed, is not seen before the next sweep',
      find: 'cursor - settings.overlapMs',
      replace: 'cursor',
    },
    {
      name: 'page-loop-not-noticed',
      breaks: 'Pages that lead in a circle are followed for ever',
      find: 'seen.has(url.href) || seen.size >= MOST_PAGES',
      replace: 'seen.size >= 1e9',
    },
    {
      name: 'next-page-ignored',
      breaks: 'Only the first page of a listing is read',
      find: 'url = page.next',
      replace: 'url = undefined',
    },
  ]),
  ...mutantsOf(`${FOLDER}/ledger.ts`, PARTS, [
    {
      name: 'nearest-expiry-last',
      breaks: 'After an outage what expires last is fetched first, and what expires meanwhile is lost',
      find: 'b.expires - a.expires',
      replace: 'a.expires - b.expires',
    },
  ]),
]
