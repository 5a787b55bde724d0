// The parts of a domain name as ECS has them, for mail addresses.
import type { JsonObject } from '../../../core/plugin/json.ts'

/** Labels that stand in front of a country's top-level domain as `co` does in `co.uk`. */
const SECOND_LEVEL = new Set(
  'ac asn co com ed edu gob go gov govt gv id idf ind info ltd me mil ne net nhs nic nom or org plc sch'.split(' '),
)

/**
 * Writes `domain` and, where they are, `registered_domain`, `subdomain` and `top_level_domain` into `to`. A country's domains
 * count as registered below `co.`, `com.`, `org.` and the like: this is the custom, not the public suffix list, which knows the
 * exceptions too.
 */
export function fillDomain(to: JsonObject, domain: string): void {
  to['domain'] = domain
  const labels = domain.split('.')
  const last = labels.at(-1) as string
  if (labels.length < 2 || labels.includes('') || !/^[^0-9]/.test(last)) return
  const suffix = last.length === 2 && SECOND_LEVEL.has((labels.at(-2) as string).toLowerCase()) ? 2 : 1
  to['top_level_domain'] = labels.slice(-suffix).join('.')
  if (labels.length <= suffix) return
  to['registered_domain'] = labels.slice(-suffix - 1).join('.')
  if (labels.length > suffix + 1) to['subdomain'] = labels.slice(0, -suffix - 1).join('.')
}
