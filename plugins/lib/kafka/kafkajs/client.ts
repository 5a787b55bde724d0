// The Kafka client of the plugins, made of kafkajs.
import { readFileSync } from 'node:fs'
import { type ConnectionOptions, rootCertificates } from 'node:tls'
import type kafkajs from 'kafkajs'
import { asError, OptionError } from '../../../../core/plugin/errors.ts'
import type { Clock, Log, Metrics } from '../../../../core/plugin/interfaces.ts'
import { secretOf } from '../../secret.ts'
import type { KafkaClient } from '../client.ts'
import type { ConnectionSettings, SaslSettings, TlsSettings } from '../options.ts'
import { type BearerTokens, openTokens } from '../tokens.ts'
import { installCodecs } from './codecs.ts'
import { GroupMember } from './consumer.ts'
import { mendKafkajs } from './mend.ts'
import { KafkajsProducer } from './producer.ts'

export interface KafkaParts {
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

/**
 * How kafkajs tries again by itself: long enough for a change of leaders, and for a broker that is restarted. What lasts longer is told
 * to whoever called, who tries again for ever.
 */
const RETRY = { initialRetryTime: 100, factor: 0.2, multiplier: 2, maxRetryTime: 1_000, retries: 8 }
/**
 * A member of a group goes on for a minute: the broker that is started again knows it still, while a new member would have to wait until
 * the group has given the old one up.
 */
const MEMBER_RETRY = { ...RETRY, retries: 60 }

/** Loads kafkajs: to be called in a plugin's `open`, on the main thread. Asks no broker yet. */
export async function openKafka(settings: ConnectionSettings, { clock, log, metrics }: KafkaParts): Promise<KafkaClient> {
  const { brokers, clientId, tls, sasl, requestTimeoutMs, connectTimeoutMs } = settings
  const { default: library } = await import('kafkajs')
  mendKafkajs()
  await installCodecs(library)
  if (tls?.insecure) {
    metrics.gauge('kafka_tls_insecure', 'Certificates of the brokers are not looked at', 1)
    log.warn({}, 'kafka: tls.insecure is set: whoever is between here and the brokers reads and changes everything')
  }
  if (sasl?.mechanism === 'plain' && !tls)
    log.warn({}, 'kafka: the password goes to the brokers in clear text; use tls, or scram')
  const tokens = sasl?.mechanism === 'oauthbearer' ? await openTokens(sasl, clock) : undefined
  const heard: KafkajsParts['heard'] = new Set()
  let closed = false
  const listen = (entry: kafkajs.LogEntry) => {
    // It would go on trying, and hold up the end of the process: this is an error that it does not try again after.
    if (closed && entry.namespace === 'BrokerPool' && entry.level === library.logLevel.ERROR)
      throw new TypeError('the client is closed')
    for (const listener of heard) listener(entry)
    tell(log, entry)
  }
  const kafkaWith = (retry: kafkajs.RetryOptions) =>
    new library.Kafka({
      ...{ brokers: [...brokers], clientId, retry },
      connectionTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      ...(tls && { ssl: sslOf(tls) }),
      ...(sasl && { sasl: saslOf(sasl, tokens) }),
      logLevel: library.logLevel.INFO,
      logCreator: () => listen,
    })
  const parts: KafkajsParts = {
    ...{ library, clock, heard, tokens, metadataMaxAgeMs: settings.metadataMaxAgeMs },
    kafka: kafkaWith(RETRY),
    memberKafka: kafkaWith(MEMBER_RETRY),
  }
  const open = new Set<{ close(): Promise<void> }>()
  return {
    producer(options) {
      const producer = new KafkajsProducer(parts, options)
      open.add(producer)
      return producer
    },
    consumer(options) {
      const member = new GroupMember(parts, options)
      open.add(member)
      return member
    },
    async close() {
      closed = true
      for (const one of open) await one.close()
      await tokens?.close()
    },
  }
}

/** What producers and members share. */
export interface KafkajsParts {
  readonly library: typeof kafkajs
  readonly kafka: kafkajs.Kafka
  /** For members of groups, who try longer. */
  readonly memberKafka: kafkajs.Kafka
  readonly clock: Clock
  /** Who listens to what kafkajs says. */
  readonly heard: Set<(entry: kafkajs.LogEntry) => void>
  readonly tokens: BearerTokens | undefined
  readonly metadataMaxAgeMs: number
}

/**
 * kafkajs calls each of its many tries an error. Whoever called it hears of what matters, once; the rest is there for whoever looks into
 * a trouble.
 */
function tell(log: Log, { namespace, log: { message, broker, topic, groupId, error } }: kafkajs.LogEntry): void {
  const facts = { of: `kafkajs ${namespace}`, broker, topic, groupId, error }
  log.debug(Object.fromEntries(Object.entries(facts).filter(([, value]) => typeof value === 'string')), message)
}

function sslOf({ ca, cert, key, serverName, insecure }: TlsSettings): ConnectionOptions {
  return {
    ...(ca !== undefined && { ca: [...rootCertificates, pemOf(ca, 'tls.ca')] }),
    ...(cert !== undefined && key !== undefined && { cert: pemOf(cert, 'tls.cert'), key: pemOf(key, 'tls.key') }),
    ...(serverName !== undefined && { servername: serverName }),
    rejectUnauthorized: !insecure,
  }
}

function pemOf(path: string, option: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new OptionError(option, `the file ${path} cannot be read: ${asError(cause).message}`, { cause })
  }
  if (!text.includes('-----BEGIN ')) throw new OptionError(option, `${path} is no PEM file`)
  return text
}

function saslOf(sasl: SaslSettings, tokens: BearerTokens | undefined): kafkajs.SASLOptions {
  if (sasl.mechanism === 'oauthbearer')
    return { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: (await tokens?.get()) ?? '' }) }
  const { mechanism, username } = sasl
  const password = secretOf(sasl.password, sasl.file)
  return {
    ...{ mechanism, username },
    // Asked for at each connection.
    get password() {
      password.renew()
      return password.value
    },
  }
}
