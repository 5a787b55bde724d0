// How grave an event is, for syslog (0 the worst, 7) and for CEF (0, 10 the worst).
import type { JsonObject } from '../../../core/plugin/json.ts'
import { fieldPath } from '../field-path.ts'

/** The severities of RFC 5424 by their numbers. */
export const SEVERITIES = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'informational', 'debug'] as const
export type Severity = (typeof SEVERITIES)[number]

/** The facilities of RFC 5424 by their numbers. */
export const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp', 'ntp', 'audit'],
  ...['alert', 'clock', 'local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
] as const

/** Words that log.level has for a severity, in small letters. */
const LEVELS: ReadonlyMap<string, number> = new Map([
  ...SEVERITIES.map((name, number): [string, number] => [name, number]),
  ...Object.entries({ emerg: 0, panic: 0, fatal: 2, crit: 2, err: 3, warn: 4, info: 6, information: 6, verbose: 7, trace: 7 }),
])

const CODE = fieldPath('log.syslog.severity.code')
const LEVEL = fieldPath('log.level')
const SEVERITY = fieldPath('event.severity')
const KIND = fieldPath('event.kind')

/**
 * By log.syslog.severity.code, else a log.level that is a word of syslog, else event.severity as the ecs filter writes it (1
 * informational, 2 low, 3 medium, 4 high); an alert without any is a warning, all else informational.
 */
export function syslogSeverity(fields: JsonObject): number {
  const code = CODE.get(fields)
  if (Number.isInteger(code) && (code as number) >= 0 && (code as number) <= 7) return code as number
  const level = LEVEL.get(fields)
  const number = typeof level === 'string' ? LEVELS.get(level.toLowerCase()) : undefined
  if (number !== undefined) return number
  const severity = SEVERITY.get(fields)
  if (typeof severity !== 'number') return KIND.get(fields) === 'alert' ? 4 : 6
  return severity >= 4 ? 3 : severity >= 3 ? 4 : severity >= 2 ? 5 : 6
}

/** By event.severity as above: low 3, medium 6, high 8; an alert without it 3 and all else 0, as the SIEM agent has them. */
export function cefSeverity(fields: JsonObject): number {
  const severity = SEVERITY.get(fields)
  if (typeof severity !== 'number') return KIND.get(fields) === 'alert' ? 3 : 0
  return severity >= 4 ? 8 : severity >= 3 ? 6 : severity >= 2 ? 3 : 0
}
