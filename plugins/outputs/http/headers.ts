// The headers of requests: fixed ones, those that events fill in, and those with secrets, which are read again when they are refused.
import { OptionError } from '../../../core/plugin/errors.ts'
import type { Site } from '../../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../../core/plugin/json.ts'
import { type Secret, secretOf } from '../../lib/secret.ts'
import { compile, type Template } from '../../lib/template.ts'
import { headerRules } from './text-rules.ts'

export interface HeaderOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly secret_headers?: Readonly<Record<string, string>>
  readonly username?: string
  readonly password?: string
  readonly bearer_token?: string
  readonly api_key?: string
  readonly api_key_header: string
}

/** Headers with a place for an event's values. */
export interface EventHeaders {
  readonly names: readonly string[]
  /** Their texts, in the order of the names. Throws a PermanentError for an event that cannot fill them in. */
  texts(fields: JsonObject): string[]
}

/** Headers with secrets. */
export interface SecretHeaders {
  readonly any: boolean
  /** As they are now. */
  all(): Record<string, string>
  /** The secrets themselves, which no message may hold. */
  values(): string[]
  /** They were refused: reads those again that came from files. True when one is another now. */
  renew(): boolean
  /** What somebody can do who is told that they are refused. */
  readonly remedy: string
}

const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i
/** What the client says itself; `compression` says how a body is packed. */
const OURS = new Set([
  ...['host', 'content-length', 'content-encoding', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'expect', 'te'],
  ...['trailer', 'accept-encoding'],
])

/** @throws OptionError */
export function plainHeaders({ headers = {} }: HeaderOptions): { fixed: Record<string, string>; filled: EventHeaders } {
  const fixed: Record<string, string> = {}
  const names: string[] = []
  const templates: Template[] = []
  for (const [name, text] of Object.entries(headers)) {
    const option = `headers["${name}"]`
    checkName(name, option)
    const template = compile(text, option, headerRules)
    if (template.fields.length === 0) fixed[name.toLowerCase()] = text
    else {
      names.push(name.toLowerCase())
      templates.push(template)
    }
  }
  return { fixed, filled: { names, texts: fields => templates.map(template => template.render(fields)) } }
}

/** @throws OptionError */
export function secretHeaders(options: HeaderOptions, site: Pick<Site, 'secretFile'>): SecretHeaders {
  const { headers = {}, username, password, bearer_token, api_key, api_key_header } = options
  if ((username === undefined) !== (password === undefined))
    throw new OptionError(username === undefined ? 'password' : 'username', 'username and password belong together')
  const given = { 'username and password': password, bearer_token, api_key }
  const ways = Object.entries(given).filter(([, value]) => value !== undefined)
  if (ways.length > 1) throw new OptionError('', `give one of ${ways.map(([name]) => name).join(', ')}, not several`)

  const made: { name: string; secret: Secret; write(value: string): string }[] = []
  const add = (option: string, name: string, value: string, write: (value: string) => string) => {
    checkName(name, option)
    // Of a secret, no message says what is wrong with it.
    if (headerRules.rendered(write(value), '') !== undefined)
      throw new OptionError(option, 'has a character that a header must not hold (a newline, or one that is not ASCII)')
    if (
      made.some(one => one.name === name.toLowerCase()) ||
      Object.keys(headers).some(one => one.toLowerCase() === name.toLowerCase())
    )
      throw new OptionError(option, `the header ${name} is set twice`)
    made.push({ name: name.toLowerCase(), secret: secretOf(value, site.secretFile(value)), write })
  }
  const asItIs = (value: string) => value
  if (bearer_token !== undefined) add('bearer_token', 'authorization', bearer_token, value => `Bearer ${value}`)
  if (api_key !== undefined) add('api_key', api_key_header, api_key, asItIs)
  if (username !== undefined && password !== undefined) {
    if (username.includes(':')) throw new OptionError('username', 'must not hold a colon: that is where the password begins')
    add('password', 'authorization', password, value => `Basic ${Buffer.from(`${username}:${value}`).toString('base64')}`)
  }
  for (const [name, value] of Object.entries(options.secret_headers ?? {})) add(`secret_headers["${name}"]`, name, value, asItIs)
  const [way] = ways
  const what = way?.[0] ?? (made.length > 0 ? 'secret_headers' : undefined)
  return {
    any: made.length > 0,
    all: () => Object.fromEntries(made.map(({ name, secret, write }) => [name, write(secret.value)])),
    values: () => made.flatMap(({ secret, write }) => [secret.value, write(secret.value)]),
    // Every one of them is looked at.
    renew: () => made.map(({ secret }) => secret.renew()).includes(true),
    remedy:
      what === undefined
        ? 'it asks for credentials, and none are configured (bearer_token, api_key, or username and password)'
        : `correct ${what}; a secret that came from a file is read again by itself`,
  }
}

function checkName(name: string, option: string): void {
  if (!NAME.test(name)) throw new OptionError(option, `"${name}" is no name of a header`)
  if (OURS.has(name.toLowerCase())) throw new OptionError(option, `the header ${name} is set by Penstock itself; leave it out`)
}
