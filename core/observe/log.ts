// The log: JSON lines, or lines for people on a terminal. Values are capped, cannot break a line, and hold no secrets.
import { createRequire } from 'node:module'
import type { Log } from '../plugin/interfaces.ts'
import type { JsonObject } from '../plugin/json.ts'
import { harmlessLine, masked, shortened, visible } from './text.ts'

export const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type Level = (typeof LEVELS)[number]

export interface LogSettings {
  readonly level: Level
  /** Lines for people instead of JSON. */
  readonly pretty: boolean
  readonly color: boolean
  /** Takes whole lines, newline included. */
  write(line: string): void
}

/** Longer texts are cut: a log is no place for records. */
const LONGEST = 256
const COLORS: Readonly<Record<string, string>> = {
  debug: '\u001b[2m',
  info: '\u001b[36m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
}

/** Gives the log of a pipeline, or of one of its steps. */
export function createLog(settings: LogSettings): (pipeline: string, step?: string) => Log {
  let root: ReturnType<typeof openPino> | undefined
  const from = LEVELS.indexOf(settings.level)
  return (pipeline, step) => {
    let logger: ReturnType<typeof openPino> | undefined
    const at = (name: 'debug' | 'info' | 'warn' | 'error') => {
      if (LEVELS.indexOf(name) < from) return () => {}
      return (fields: JsonObject, message: string): void => {
        root ??= openPino(settings)
        logger ??= root.child({ pipeline, ...(step !== undefined && { step }) })
        logger[name](capped(fields), cut(String(message)))
      }
    }
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  }
}

/** Loaded with the first line: a start that has nothing to say need not wait for it. */
function openPino({ level, pretty, color, write }: LogSettings) {
  const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino')
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      messageKey: 'message',
    },
    { write: (line: string) => write(pretty ? readable(JSON.parse(line) as JsonObject, color) : harmlessLine(line)) },
  )
}

/** Secrets go first: the half of one that a cut leaves would not be found. */
function cut(text: string): string {
  return shortened(masked(text), LONGEST)
}

function capped(fields: JsonObject): JsonObject {
  const result: JsonObject = {}
  for (const [key, value] of Object.entries(fields)) {
    // A stack is the program's own text, and its end says where.
    if (key === 'stack' && typeof value === 'string') result[key] = masked(value)
    else if (typeof value === 'number' && cut(String(value)) === String(value)) result[key] = value
    else result[key] = value === undefined || value === null || typeof value === 'boolean' ? value : cut(asText(value))
  }
  return result
}

/**
 * Without such a function V8 writes an object that holds itself over and over before it notices: seconds, and gigabytes for one with
 * long texts.
 */
function briefly(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  return typeof value === 'string' ? cut(value) : value
}

/** A value of any kind as text. Never throws: a plugin logs what it likes, and must not fail for it. */
function asText(value: unknown): string {
  try {
    if (value instanceof Error) return value.message
    return typeof value === 'object' ? (JSON.stringify(value, briefly) ?? '') : String(value)
  } catch {
    return '(cannot be shown)'
  }
}

function readable(line: JsonObject, color: boolean): string {
  const { level, time, pipeline, step, message, ...fields } = line
  const paint = (text: string, style: string | undefined) => (color && style ? `${style}${text}\u001b[0m` : text)
  const place = step === undefined ? pipeline : `${String(pipeline)}/${String(step)}`
  const rest = Object.entries(fields).map(([key, value]) => `${visible(key)}=${visible(String(value))}`)
  const parts = [
    paint(String(time).slice(11, 23), COLORS.debug),
    paint(String(level).padEnd(5), COLORS[String(level)]),
    `${visible(String(place))}:`,
    visible(String(message)),
    paint(rest.join(' '), COLORS.debug),
  ]
  return `${parts.join(' ').trimEnd()}\n`
}
