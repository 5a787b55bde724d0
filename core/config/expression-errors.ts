// What the CEL library says about a wrong expression, as sentences that say what to do, with the place in the expression.
import { OptionError } from '../plugin/errors.ts'
import { didYouMean } from './suggest.ts'

/** An error of the library. */
export interface CelFailure {
  readonly code?: string
  readonly summary?: string
  readonly range?: { readonly start: number; readonly end: number } | undefined
}

/** An expression is wrong: `offset` is the place in its text, in UTF-16 units. */
export class ExpressionError extends OptionError {
  readonly offset: number

  constructor(path: string, reason: string, offset: number, options?: ErrorOptions) {
    super(path, reason, options)
    this.offset = offset
  }
}

/** The library's names of what it expected, where they say less than the thing itself. */
const TOKENS: Readonly<Record<string, string>> = {
  RPAREN: ')',
  RBRACKET: ']',
  RBRACE: '}',
  COLON: ':',
  IDENTIFIER: 'a name',
}
const OPERATORS: Readonly<Record<string, string>> = { and: '&&', or: '||', not: '!' }
const CHARACTERS: Readonly<Record<string, string>> = {
  '=': 'a single = compares nothing, write ==',
  '&': 'write && for "and"',
  '|': 'write || for "or"',
  '@': 'a field whose name is no plain word is written doc["@timestamp"]',
  $: 'environment variables are not filled into expressions',
  '`': 'text stands in "double" or \'single\' quotes',
  '~': 'text is matched with field.matches("a regular expression")',
}
/** Names that CEL keeps for its types: as a field they are reached through doc. */
const TYPES = new Set(['string', 'bool', 'int', 'uint', 'double', 'map', 'list', 'bytes', 'null_type', 'google', 'cel'])

/** The library's error as ours. `functions` gives the names of all functions. */
export function expressionError(path: string, text: string, failure: CelFailure, functions: () => string[]): ExpressionError {
  const { start, end } = failure.range ?? { start: 0, end: 0 }
  const reason = sentence(text, failure, start, text.slice(start, end), functions)
  return new ExpressionError(path, reason, Math.min(start, text.length), { cause: failure })
}

function sentence(text: string, failure: CelFailure, start: number, part: string, functions: () => string[]): string {
  const { code, summary = String((failure as Error).message) } = failure
  switch (code) {
    case 'result_type':
      return `the expression must give true or false, but gives ${article(summary)}`
    case 'invalid_regular_expression':
      return `the regular expression is wrong: ${summary}`
    case 'reserved_identifier':
      return `${part} is a reserved word of CEL; write doc.${part} for the field of that name`
    case 'unexpected_character':
    case 'unexpected_token':
    case 'expected_token':
      return unexpected(text, summary, part, start)
    case 'no_matching_overload':
      return noFunction(summary, functions())
    case 'no_such_overload':
      return noOperator(summary, part)
    case 'limit_exceeded':
      return `the expression is too large: ${summary}`
    case 'invalid_macro_argument':
      if (!summary.startsWith('has')) return `${summary}: it takes a plain name, such as list.exists(x, x > 1)`
      return 'has() takes a field of something, such as has(user.name); for a field of the event itself write has(doc.name)'
    default:
      return lower(summary)
  }
}

function unexpected(text: string, summary: string, part: string, start: number): string {
  if (text.trim() === '') return 'the expression is empty'
  const operator = OPERATORS[part.toLowerCase()]
  if (operator) return `write ${operator} for "${part}"`
  const hint = CHARACTERS[text.charAt(start)]
  if (hint && !/^(?:Expected|Unexpected token)/.test(summary)) return `unexpected ${text[start]}: ${hint}`
  const [, token] = /Expected (\w+)/.exec(summary) ?? []
  const wanted = token && (TOKENS[token] ?? token.toLowerCase())
  if (start < text.length) return `unexpected ${part || text[start]}${wanted ? `, expected ${wanted}` : ''}`
  return wanted ? `the expression ends where ${wanted} is expected` : 'the expression is not complete'
}

function noFunction(summary: string, functions: readonly string[]): string {
  const [, receiver, name = '', types = ''] = /'(?:([\w.<>, ]+)\.)?(\w+)\((.*)\)'/.exec(summary) ?? []
  if (!functions.includes(name)) return `there is no function ${name}()${didYouMean(name, functions)}`
  const on = receiver && receiver !== 'dyn' ? ` on ${article(receiver)}` : ''
  return `${name}() does not work${on} with ${types ? `(${types})` : 'nothing'}`
}

function noOperator(summary: string, part: string): string {
  const [, left, operator, right] = /^no such overload: (.+) (\S+) (.+)$/.exec(summary) ?? []
  if (!left || !operator || !right) return lower(summary)
  const name = [left, right].includes('type') ? /[a-z_]+/.exec(part)?.[0] : undefined
  const hint = name && TYPES.has(name) ? `; ${name} is a type in CEL, write doc.${name} for the field of that name` : ''
  return `${operator} does not work between ${article(left)} and ${article(right)}${hint}`
}

function article(type: string): string {
  const plain = type.replace(/^(list|map)<.*$/, '$1').replace(/^null_type$/, 'null')
  if (plain === 'null') return plain
  return `${/^[aeiou]/.test(plain) ? 'an' : 'a'} ${plain}`
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
