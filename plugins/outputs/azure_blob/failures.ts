// What an answer of the Blob service that is no success means, in words that an operator can act on.
import { asError, PenstockError, RetryableError } from '../../../core/plugin/errors.ts'
import { waitOf } from '../../lib/http/retry-after.ts'

/** The service refused, or nobody answered. */
export class BlobFailure extends PenstockError {
  /** The service's own code, `ContainerNotFound` and the like; '' where there is none. */
  readonly service: string
  /** 0 where there was no answer. */
  readonly status: number
  /** How long it asks to wait. Milliseconds. */
  readonly after: number | undefined

  constructor(service: string, status: number, message: string, after?: number) {
    super('PEN_AZURE_BLOB', message)
    this.service = service
    this.status = status
    this.after = after
  }
}

/** What the storage client throws for an answer, as far as it is read here. */
interface Answered {
  readonly statusCode: number
  readonly code?: string
  readonly response?: { readonly headers: { get(name: string): string | undefined } }
}

const REMEDY: Readonly<Record<string, string>> = {
  AuthenticationFailed: 'the service does not take the key, SAS or token; check it, and the clock of this machine',
  AuthorizationFailure: 'the account does not let this address in; look at its network rules, and at the permissions of the SAS',
  AuthorizationPermissionMismatch:
    'the permissions do not suffice; a SAS needs read, add, create and write, an application the role Storage Blob Data Contributor',
  AuthorizationServiceMismatch: 'the SAS is not for blobs; make one for the Blob service',
  AuthorizationResourceTypeMismatch: 'the SAS is not for containers and objects; make one with both resource types',
  AuthorizationProtocolMismatch: 'the SAS allows https alone',
  AuthorizationSourceIPMismatch: 'the SAS does not allow this address',
  InvalidAuthenticationInfo: 'the service does not take the key, SAS or token; check it',
  InsufficientAccountPermissions: 'the permissions of the account do not suffice',
  AccountIsDisabled: 'the account is disabled',
  ContainerNotFound: 'there is no such container; make it, or set create_container',
  ContainerBeingDeleted: 'the container is being deleted; it can be made again when that is done',
  ContainerDisabled: 'the container is disabled',
  ResourceNotFound: 'the account, or the container, is not there; look at its name',
  ServerBusy: 'the account is busy',
  OperationTimedOut: 'the service could not do it in time',
  InternalError: 'the service has a fault',
  InvalidHeaderValue: 'the service does not know the version of its interface that is asked for',
}

/** Any thrown value of the storage client as a BlobFailure; what is none of the service's or the network's comes as it is. */
export function blobFailure(thrown: unknown, where: string, now: number): Error {
  if (thrown instanceof PenstockError) {
    const { after } = thrown as { after?: number }
    return new BlobFailure(thrown.code, 0, `azure_blob: ${thrown.message}`, after)
  }
  const error = asError(thrown)
  const { statusCode: status, code, response } = error as Partial<Answered>
  if (typeof status !== 'number') return error
  const service = response?.headers.get('x-ms-error-code') ?? code ?? ''
  const named = service || `HTTP ${status}`
  const remedy =
    REMEDY[service] ?? ([401, 403].includes(status) ? 'access is refused; nothing is lost, mend it and it goes on' : '')
  // The service's own words hold what was signed where it is about that.
  const words = remedy || [401, 403].includes(status) ? remedy : (error.message.split('\n')[0] ?? '').slice(0, 200)
  const message = `azure_blob: ${named} (${status}) for ${where}${words ? `: ${words}` : ''}`
  return new BlobFailure(service, status, message, waitOf(response?.headers.get('retry-after'), now))
}

/** Access is refused. */
export function isRefusal(error: unknown): boolean {
  return error instanceof BlobFailure && (error.status === 401 || error.status === 403)
}

/** The error that `write` throws: the batch comes again. */
export function retryable(error: unknown): Error {
  if (!(error instanceof BlobFailure)) return asError(error)
  const { message, after } = error
  return new RetryableError(message, { code: error.code, ...(after !== undefined && { after }) })
}
