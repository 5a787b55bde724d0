// What the CEL library says about a wrong expression, as sentences that say what to do, with the place in the expression.
import { PenstockError } from '../plugin/errors.ts'
import { didYouMean } from './suggest.ts'

/** An error of the library. */
export interface CelFailure {
  readonly code?: string
  readonly summary?: string
  readonly range?: { readonly start: number; readonly end: number } | undefined
}

/** An expression is wrong at `offset` (counted in UTF-16 units from its begin). */
export class CelProblem extends PenstockError {
  readonly offset: number
  readonly reason: string

  constructor(reason: string, offset: number) {
    super('PEN_EXPRESSION', reason)
    this.reason = reason
    this.offset = offset
  }
}

const TOKENS: Readonly<Record<string, string>> = {
  EOF: 'the end',
  RPAREN: ')',
  LPAREN: '(',
  RBRACKET: ']',
  LBRACKET: '[',
  RBRACE: '}',
  LBRACE: '{',
  IDENTIFIER: 'a name',
  COLON: ':',
  COMMA: ',',
  DOT: '.',
  IN: 'in',
  NUMBER: 'a number',
  STRING: 'text',
  BOOLEAN: 'true or false',
  NULL: 'null',
}
const WORDS: Readonly<Record<string, string>> = { and: '&&', AND: '&&', or: '||', OR: '||', not: '!', NOT: '!' }
const CHARACTERS: Readonly<Record<string, string>> = {
  '=': 'a single = compares nothing, write ==',
  '&': 'write && for "and"',
  '|': 'write || for "or"',
  '@': 'a field whose name is no plain word is written doc["@timestamp"]',
  $: `environment variables are not filled into expressions`,
  '`': 'text stands in "double" or \'single\' quotes',
  '~': 'text is matched with field.matches("a regular expression")',
}
/** Names that CEL keeps for its types: as a field they are reached through doc. */
const TYPES = new Set(['string', 'bool', 'int', 'uint', 'double', 'map', 'list', 'bytes', 'null_type', 'google', 'cel'])

/** The library's error as a sentence. `functions` gives the names of all functions. */
export function celSentence(text: string, failure: CelFailure, functions: () => ReadonlySet<string>): CelProblem {
  const { code = '', summary = String((failure as Error).message), range = { start: 0, end: 0 } } = failure
  return new CelProblem(sentence(text, code, summary, range, functions), Math.min(range.start, text.length || range.start))
}

function sentence(
  text: string,
  code: string,
  summary: string,
  { start, end }: { readonly start: number; readonly end: number },
  functions: () => ReadonlySet<string>,
): string {
  const part = text.slice(start, end)
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
      return noFunction(summary, functions)
    case 'no_such_overload':
      return noOperator(summary, part)
    case 'invalid_macro_argument':
      return summary.startsWith('has')
        ? `has() takes a field of something, such as has(user.name); for a field of the event itself write has(doc.name) or "name" in doc`
        : `${summary}: it takes a plain name, such as list.exists(x, x > 1)`
    case 'limit_exceeded':
      return `the expression is too large: ${summary}`
    default:
      return lower(summary)
  }
}

function unexpected(text: string, summary: string, part: string, start: number): string {
  if (text.trim() === '') return 'the expression is empty'
  const operator = WORDS[part]
  if (operator) return `write ${operator} for "${part}"`
  const hint = CHARACTERS[text[start] ?? '']
  if (hint && !/^(Expected|Unexpected token)/.test(summary)) return `unexpected ${text[start]}: ${hint}`
  if (start >= text.length) {
    const wanted = /Expected (\w+)/.exec(summary)?.[1]
    return wanted ? `the expression ends where ${TOKENS[wanted] ?? wanted} is expected` : 'the expression is not complete'
  }
  const wanted = /Expected (\w+)/.exec(summary)?.[1]
  return `unexpected ${part || text[start]}${wanted ? `, expected ${TOKENS[wanted] ?? wanted}` : ''}`
}

function noFunction(summary: string, functions: () => ReadonlySet<string>): string {
  const [, receiver, name = '', types = ''] = /'(?:([\w.<>, ]+)\.)?(\w+)\((.*)\)'/.exec(summary) ?? []
  const known = functions()
  if (!known.has(name)) return `there is no function ${name}()${didYouMean(name, known)}`
  const given = types ? `(${types})` : 'nothing'
  return `${name}() does not work ${receiver && receiver !== 'dyn' ? `on ${article(receiver)} ` : ''}with ${given}`
}

function noOperator(summary: string, part: string): string {
  const [, left, operator, right] = /^no such overload: (.+) (\S+) (.+)$/.exec(summary) ?? []
  if (!left || !operator || !right) return lower(summary)
  const name = [left, right].includes('type') ? /[a-z_]+/g.exec(part)?.[0] : undefined
  const hint = name && TYPES.has(name) ? `; ${name} is a type in CEL, write doc.${name} for the field of that name` : ''
  return `${operator} does not work between ${article(left)} and ${article(right)}${hint}`
}

function article(type: string): string {
  const plain = type
    .replace(/^list<.*$/, 'list')
    .replace(/^map<.*$/, 'map')
    .replace(/^null(_type)?$/, 'null')
  if (plain === 'null') return plain
  return `${/^[aeiou]/.test(plain) ? 'an' : 'a'} ${plain}`
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
