// Faults in the http output and what it sends with: events that nobody has confirmed, and places where they must not go.
import { type Mutant, mutantsOf } from './mutant.ts'

const OUTPUT = ['plugins/http-output']
const TLS = ['plugins/http-output-tls']

export const httpOutput: readonly Mutant[] = [
  ...mutantsOf('plugins/outputs/http/index.ts', OUTPUT, [
    {
      name: 'http-halves-lost',
      breaks: 'Of a request that is too large the second half is not sent',
      find: 'return halves(part)',
      replace: 'return halves(part).slice(0, 1)',
    },
    {
      name: 'http-credentials-bury',
      breaks: 'Refused credentials make dead letters',
      find: "if (meaning !== 'permanent' && meaning !== 'too_large') throw error",
      replace: "if (meaning === 'retry' || meaning === 'redirect') throw error",
    },
    {
      name: 'http-token-not-renewed',
      breaks: 'A token that was put in the place of a refused one is not read',
      find: "if (meaning === 'credentials' && secret.renew()) return [part]",
      replace: '',
    },
    {
      name: 'http-blames-all',
      breaks: 'One wrong event takes its whole batch into the dead letters',
      find: '|| blamesContent(answer.status)',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/lib/request/sender.ts', OUTPUT, [
    {
      name: 'http-cut-answer-taken',
      breaks: 'An answer that is cut off counts as a success',
      find: 'const text = status < 300 ? await whole(response, url) : await response.text()',
      replace: 'const text = await response.text()',
    },
    {
      name: 'http-system-codes',
      breaks: 'A connection that breaks while a body is written ends the pipeline',
      find: "{ code: 'PEN_NO_ANSWER', cause: thrown }",
      replace: "{ code: (thrown as { code?: string }).code ?? '', cause: thrown }",
    },
    {
      name: 'http-wait-without-end',
      breaks: 'A wrong Retry-After stops the output for years',
      find: 'Math.min(after, LONGEST_WAIT_MS)',
      replace: 'after',
    },
  ]),
  ...mutantsOf('plugins/lib/request/answers.ts', OUTPUT, [
    {
      name: 'http-busy-is-permanent',
      breaks: 'Events become dead letters because the destination is busy',
      find: 'return RETRY.has(status) ||',
      replace: 'return',
    },
    {
      name: 'http-redirect-is-success',
      breaks: 'A redirect counts as delivered',
      find: "if (status >= 200 && status < 300) return 'success'",
      replace: "if (status >= 200 && status < 400) return 'success'",
    },
    {
      name: 'http-secret-shown',
      breaks: 'A secret that the destination repeats stands in the message',
      find: "if (secret) plain = plain.replaceAll(secret, '***')",
      replace: 'if (secret) break',
    },
  ]),
  ...mutantsOf('plugins/lib/request/fates.ts', OUTPUT, [
    {
      name: 'http-fates-forgotten',
      breaks: 'What one request has delivered is sent again for ever while another fails',
      find: 'if (fate !== undefined) this.#known.set(item, fate)',
      replace: '',
    },
    {
      name: 'http-fates-kept',
      breaks: 'A refused event that comes again is refused without being sent',
      find: 'this.#known.delete(item)',
      replace: 'if (fates[index] !== undefined) this.#known.set(item, fates[index])',
    },
  ]),
  ...mutantsOf('plugins/outputs/http/text-rules.ts', OUTPUT, [
    {
      name: 'http-value-leads-away',
      breaks: 'A value with a slash or a question mark leads its request to another place',
      find: 'const odd = NO_NAME.exec(value)',
      replace: 'const odd = NO_NAME.exec(value.slice(0, 0))',
    },
    {
      name: 'http-path-of-events',
      breaks: 'An event leads its request to another path',
      find: "return path.split('/').some(name => name === '.' || name === '..')",
      replace: "return path.split('/').some(name => name === '..')",
    },
    {
      name: 'http-header-of-events',
      breaks: 'An event adds a header of its own',
      find: 'const NO_HEADER = /[^\\t\\x20-\\x7e]/',
      replace: 'const NO_HEADER = /[\\0]/',
    },
  ]),
  ...mutantsOf('plugins/lib/http/public-only.ts', TLS, [
    {
      name: 'http-first-address-only',
      breaks: 'A name that leads to two addresses is connected at the second, which is private',
      find: 'for (const { address } of found) {',
      replace: 'for (const { address } of found.slice(0, 1)) {',
    },
    {
      name: 'http-literal-not-looked-at',
      breaks: 'An address in the place of a name is not looked at',
      find: 'if (range !== undefined) throw new PrivateAddressError(host, host, range)',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/lib/http/client.ts', TLS, [
    {
      name: 'http-guard-not-set',
      breaks: 'With deny_private names are not looked at when they are connected',
      find: '{ ...connect, lookup: publicOnly() }',
      replace: 'connect',
    },
  ]),
  ...mutantsOf('plugins/lib/http/tls.ts', TLS, [
    {
      name: 'http-certificates-not-looked-at',
      breaks: 'Any certificate will do',
      find: '...(insecure && { rejectUnauthorized: false })',
      replace: 'rejectUnauthorized: false',
    },
    {
      name: 'http-foreign-key',
      breaks: 'A key that does not belong to its certificate is found by the first connection only',
      find: 'if (!first.checkPrivateKey(own))',
      replace: 'if (!first)',
    },
  ]),
]
