// A database as a step uses it: connections that are opened when they are needed, and given up when they do not answer.
import { readFileSync } from 'node:fs'
import { asError, PenstockError } from '../../../core/plugin/errors.ts'
import type { Clock, Log } from '../../../core/plugin/interfaces.ts'
import { type HttpClient, openHttp } from '../http/client.ts'
import { credentialsOf } from '../microsoft/service/credentials.ts'
import { type Tokens, tokensOf } from '../microsoft/service/tokens.ts'
import { secretOf } from '../secret.ts'
import type { Access } from './connection-options.ts'
import type { Dialect, Login, Session } from './dialect.ts'
import { dialectOf } from './dialects.ts'
import { SqlFailure } from './failure.ts'

/** What a server may take to say goodbye. */
const GOODBYE_MS = 1_000

export interface Database {
  readonly dialect: Dialect
  /** For sentences: `audit on db.example`. */
  readonly place: string
  /**
   * Lends a connection. One that was idle and turns out to be dead is replaced, and `work` begins again. Rejects with what `work`
   * throws (a SqlFailure mostly), and when `signal` aborts.
   */
  use<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/**
 * Opens no connection yet.
 * @throws PenstockError (PEN_FILE) when the CA file cannot be read
 */
export async function openDatabase(
  access: Access,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<Database> {
  const { target, timeoutMs } = access
  const dialect = dialectOf(target.dialect)
  const place = `${target.database} on ${target.host}`
  const tls = access.tls && (await tlsOf(access.tls))
  if (access.tls !== false && access.tls.insecure)
    log.warn(
      { host: target.host },
      'tls_insecure: the certificate of the server is not checked, and whoever is in between reads all',
    )
  const login = await loginOf(access, clock)
  const idle: Session[] = []

  const open = async (signal: AbortSignal): Promise<Session> => {
    const given = await login.get(signal)
    const opening = dialect.connect({ ...target, tls }, given)
    // What comes too late is closed, and not forgotten.
    let late = false
    opening.then(
      session => late && session.destroy(),
      () => {},
    )
    try {
      return await within(opening, {
        clock,
        ms: target.connectMs,
        signal,
        what: `${dialect.product}: ${target.host} takes no connection`,
      })
    } catch (thrown) {
      late = true
      if (thrown instanceof SqlFailure && thrown.kind === 'configuration') login.refused(given)
      throw thrown
    }
  }

  async function attempt<T>(session: Session, signal: AbortSignal, answered: () => void, work: (session: Session) => Promise<T>) {
    const guard = <R>(running: Promise<R>): Promise<R> =>
      within(running, { clock, ms: timeoutMs, signal, what: `${dialect.product}: ${target.host} does not answer` }).then(
        result => {
          answered()
          return result
        },
        error => {
          if (!(error instanceof SqlFailure) || error.kind === 'connection') session.destroy()
          else answered()
          throw error
        },
      )
    return work({
      ...session,
      run: (text, values, types) => guard(session.run(text, values, types)),
      begin: () => guard(session.begin()),
      commit: () => guard(session.commit()),
      rollback: () => guard(session.rollback()),
    })
  }

  return {
    dialect,
    place,
    async use(signal, work) {
      for (;;) {
        signal.throwIfAborted()
        const kept = idle.pop()
        const session = kept ?? (await open(signal))
        let answers = 0
        try {
          const result = await attempt(session, signal, () => answers++, work)
          idle.push(session)
          return result
        } catch (error) {
          const lost = !(error instanceof SqlFailure) || error.kind === 'connection'
          if (lost) session.destroy()
          else idle.push(session)
          if (kept && lost && answers === 0 && !signal.aborted) continue
          throw error
        }
      }
    },
    async close() {
      const goodbye = { clock, ms: GOODBYE_MS, signal: new AbortController().signal, what: target.host }
      await Promise.all(idle.splice(0).map(session => within(session.close(), goodbye).catch(() => session.destroy())))
      await login.close()
    },
  }
}

/** All or nothing: what `work` throws takes back what it did. */
export async function transaction<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.begin()
  let result: T
  try {
    result = await work()
  } catch (error) {
    if (!(error instanceof SqlFailure) || error.kind !== 'connection') await session.rollback()
    throw error
  }
  await session.commit()
  return result
}

interface Limit {
  readonly clock: Clock
  readonly ms: number
  readonly signal: AbortSignal
  readonly what: string
}

/** A promise that nothing but the network could settle, settled in time. */
function within<T>(running: Promise<T>, { clock, ms, signal, what }: Limit): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(ms, () => end(() => reject(new SqlFailure('connection', `${what} within ${ms / 1000} s`))))
    const aborted = () => end(() => reject(signal.reason))
    const end = (settle: () => void) => {
      stop()
      signal.removeEventListener('abort', aborted)
      settle()
    }
    if (signal.aborted) aborted()
    signal.addEventListener('abort', aborted, { once: true })
    running.then(
      value => end(() => resolve(value)),
      error => end(() => reject(error)),
    )
  })
}

async function tlsOf({ ca, insecure }: { readonly ca: string | undefined; readonly insecure: boolean }) {
  if (ca === undefined) return { insecure }
  const { rootCertificates } = await import('node:tls')
  try {
    return { ca: [...rootCertificates, readFileSync(ca, 'utf8')].join('\n'), insecure }
  } catch (cause) {
    throw new PenstockError('PEN_FILE', `the file ${ca} (ca) cannot be read: ${asError(cause).message}`, { cause })
  }
}

interface LoginSource {
  get(signal: AbortSignal): Promise<Login>
  refused(login: Login): void
  close(): Promise<void>
}

async function loginOf({ login }: Access, clock: Clock): Promise<LoginSource> {
  if ('password' in login) {
    const secret = secretOf(login.password, login.file)
    return {
      async get() {
        secret.renew()
        return { password: secret.value }
      },
      refused() {},
      async close() {},
    }
  }
  const { credentials, ...rest } = login.entra
  let http: HttpClient | undefined
  let tokens: Tokens | undefined
  return {
    async get(signal) {
      http ??= await openHttp({ clock })
      tokens ??= tokensOf({ ...rest, credentials: credentialsOf(credentials), http, clock })
      return { token: await tokens.get(signal) }
    },
    refused(given) {
      if ('token' in given) tokens?.refuse(given.token)
    },
    async close() {
      await http?.close()
    },
  }
}
