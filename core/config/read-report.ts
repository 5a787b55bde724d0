// Reads a YAML file of the configuration: its text, or why there is none, as a report.
import { readFileSync, statSync } from 'node:fs'
import { readFailure } from './fill.ts'
import { BEGIN, Report } from './problem.ts'

/** A file that needs more is no pipeline; as a list it has thousands of tenants. */
const MAX_FILE_BYTES = 1024 * 1024

/** @param name How the file is called in the report; by default as it is read. */
export function readReport(path: string, name = path): Report {
  const text = textOf(path)
  const report = new Report(name, typeof text === 'string' ? text : '')
  if (typeof text !== 'string') report.error(BEGIN, text.problem)
  return report
}

function textOf(path: string): string | { problem: string } {
  try {
    const { size } = statSync(path)
    if (size > MAX_FILE_BYTES) return { problem: `the file has ${size} bytes; it may have at most ${MAX_FILE_BYTES}` }
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'the file is not UTF-8; save it as UTF-8' }
    return { problem: `the file cannot be read: ${readFailure(error)}` }
  }
}
