// The log: JSON lines, or lines for people on a terminal. Values from outside are capped and cannot break a line.
import { createRequire } from 'node:module'
import type { Log } from '../plugin/interfaces.ts'
import type { JsonObject } from '../plugin/json.ts'
import { visible } from './text.ts'

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
        logger[name](capped(fields), cut(message))
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
    { write: (line: string) => write(pretty ? readable(JSON.parse(line) as JsonObject, color) : line) },
  )
}

function cut(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}… (${text.length} characters)` : text
}

function capped(fields: JsonObject): JsonObject {
  const result: JsonObject = {}
  for (const [key, value] of Object.entries(fields)) {
    // A stack is the program's own text, and its end says where.
    if (typeof value === 'string') result[key] = key === 'stack' ? value : cut(value)
    else result[key] = typeof value === 'object' && value !== null ? cut(JSON.stringify(value)) : value
  }
  return result
}

function readable(line: JsonObject, color: boolean): string {
  const { level, time, pipeline, step, message, ...fields } = line
  const paint = (text: string, style: string | undefined) => (color && style ? `${style}${text}\u001b[0m` : text)
  const place = step === undefined ? pipeline : `${String(pipeline)}/${String(step)}`
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${visible(String(value))}`)
  const parts = [
    paint(String(time).slice(11, 23), COLORS.debug),
    paint(String(level).padEnd(5), COLORS[String(level)]),
    `${visible(String(place))}:`,
    visible(String(message)),
    paint(rest.join(' '), COLORS.debug),
  ]
  return `${parts.join(' ').trimEnd()}\n`
}
