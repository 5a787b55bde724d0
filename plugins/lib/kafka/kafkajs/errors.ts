// What errors of kafkajs mean, as sentences that say what to do.
import { asError } from '../../../../core/plugin/errors.ts'
import { KafkaError, type KafkaFailure } from '../client.ts'

const BY_TYPE: Readonly<Record<string, KafkaFailure>> = {
  MESSAGE_TOO_LARGE: 'too_large',
  RECORD_LIST_TOO_LARGE: 'too_large',
  UNKNOWN_TOPIC_OR_PARTITION: 'unknown_topic',
  INVALID_TOPIC_EXCEPTION: 'unknown_topic',
  TOPIC_AUTHORIZATION_FAILED: 'authorization',
  GROUP_AUTHORIZATION_FAILED: 'authorization',
  CLUSTER_AUTHORIZATION_FAILED: 'authorization',
  SASL_AUTHENTICATION_FAILED: 'authentication',
  ILLEGAL_SASL_STATE: 'authentication',
  UNSUPPORTED_SASL_MECHANISM: 'authentication',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'sequence',
  DUPLICATE_SEQUENCE_NUMBER: 'sequence',
  UNKNOWN_PRODUCER_ID: 'sequence',
  INVALID_PRODUCER_EPOCH: 'sequence',
  INVALID_PRODUCER_ID_MAPPING: 'sequence',
}

/** Answers that pass by themselves, mostly while partitions change their leaders. */
const PASSING = new Set([
  'CORRUPT_MESSAGE',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REQUEST_TIMED_OUT',
  'BROKER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'NETWORK_EXCEPTION',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'NOT_CONTROLLER',
])

const BY_NAME: Readonly<Record<string, KafkaFailure>> = {
  KafkaJSSASLAuthenticationError: 'authentication',
  KafkaJSConnectionError: 'unreachable',
  KafkaJSConnectionClosedError: 'unreachable',
  KafkaJSRequestTimeoutError: 'unreachable',
  KafkaJSBrokerNotFound: 'unreachable',
  KafkaJSNoBrokerAvailableError: 'unreachable',
  KafkaJSMetadataNotLoaded: 'unreachable',
  KafkaJSTopicMetadataNotLoaded: 'unreachable',
  KafkaJSLockTimeout: 'unreachable',
  KafkaJSGroupCoordinatorNotFound: 'unreachable',
}

const ADVICE: Readonly<Record<KafkaFailure, string>> = {
  unreachable: '; it is tried again until it answers',
  authentication: '; nothing is lost: mend sasl (or its file) and it goes on',
  authorization: '; nothing is lost: allow it (ACLs, or roles on Event Hubs) and it goes on',
  unknown_topic: '; nothing is lost: make the topic and it goes on, or set create_topics where the brokers make topics on use',
  too_large: '; a message may be as long as max.message.bytes of its topic, and a batch too: see max_request_bytes',
  sequence: '',
  refused: '',
}

const SIGNED_BY_NOBODY =
  'its certificate is signed by nobody that is trusted here; name the PEM file of who signed it with tls.ca'
const TLS_ADVICE: Readonly<Record<string, string>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: SIGNED_BY_NOBODY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: SIGNED_BY_NOBODY,
  SELF_SIGNED_CERT_IN_CHAIN: SIGNED_BY_NOBODY,
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is signed by itself; name its PEM file with tls.ca',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host; name that with tls.server_name if it is the right one',
}

interface Facts {
  readonly name: string
  readonly message: string
  readonly type?: string
  readonly code?: string | number
  readonly broker?: string
}

/** An error of kafkajs, or one that came through it. `what` says what was tried, for the sentence: `topic logins`. */
export function kafkaError(thrown: unknown, what = ''): KafkaError {
  const chain = causesOf(thrown)
  const own = chain.find(error => error instanceof KafkaError)
  if (own) return own as KafkaError
  const facts = chain.map(factsOf)
  const [first] = facts as [Facts, ...Facts[]]
  // The innermost of those that say something is the reason; the outer ones only say how often it was tried.
  const typed = facts.findLast(({ type }) => type !== undefined)
  const named = facts.findLast(({ name }) => BY_NAME[name] !== undefined)
  const type = typed?.type ?? ''
  const failure = BY_TYPE[type] ?? (PASSING.has(type) ? 'unreachable' : undefined) ?? (named && BY_NAME[named.name]) ?? 'refused'
  const reason = typed ?? named ?? first
  const code = facts.findLast(({ code }) => typeof code === 'string')?.code as string | undefined
  const broker = facts.find(one => one.broker !== undefined)?.broker
  const said = (code !== undefined && TLS_ADVICE[code]) || reason.message.replace(/^(Connection error|KafkaJS\w+): /, '')
  const place = [what, broker && !said.includes(broker) ? broker : ''].filter(Boolean).join(', ')
  const named_ = type && !said.includes(type) ? ` (${type})` : ''
  return new KafkaError(failure, `kafka: ${place ? `${place}: ` : ''}${said}${named_}${ADVICE[failure]}`, { cause: thrown })
}

function causesOf(thrown: unknown): Error[] {
  const chain: Error[] = []
  for (let error: unknown = asError(thrown); error instanceof Error && !chain.includes(error); error = error.cause)
    chain.push(error)
  return chain
}

function factsOf(error: Error): Facts {
  return error as unknown as Facts
}
