// What audit records have in common: their first fields, their texts for times, lists of names and values.
import type { JsonObject } from '../../../../../core/plugin/json.ts'
import type { Scene } from '../world.ts'

/** A time as audit records write it: UTC, whole seconds, no zone. */
export function auditTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19)
}

/** A time as Graph writes it: UTC, whole seconds, with a Z. */
export function graphTime(ms: number): string {
  return `${auditTime(ms)}Z`
}

export interface NameValue {
  readonly Name: string
  readonly Value: string
}

/** An object as the list of names and values that Microsoft's records are fond of. */
export function pairs(values: Readonly<Record<string, string>>): NameValue[] {
  return Object.keys(values).map(Name => ({ Name, Value: values[Name] as string }))
}

export interface Head {
  readonly type: number
  readonly operation: string
  readonly workload: string
  /** Default: the scene's user, a regular one, under the key that Exchange and Teams give. */
  readonly userId?: string
  readonly userKey?: string
  readonly userType?: number
  readonly status?: string
}

/** The fields that every audit record begins with (Management Activity API schema, common schema). */
export function head(scene: Scene, { type, operation, workload, userId, userKey, userType, status }: Head): JsonObject {
  const record: JsonObject = {
    CreationTime: auditTime(scene.time),
    Id: scene.id,
    Operation: operation,
    OrganizationId: scene.tenant.id,
    RecordType: type,
  }
  if (status !== undefined) record['ResultStatus'] = status
  record['UserKey'] = userKey ?? scene.user.puid
  record['UserType'] = userType ?? 0
  record['Version'] = 1
  record['Workload'] = workload
  record['UserId'] = userId ?? scene.user.upn
  return record
}
