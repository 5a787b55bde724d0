// The same facts as people export them from portals and PowerShell: rows by column, and CSV text.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { graphTime } from './records/common.ts'
import type { SignIn } from './records/sign-in.ts'

/** Header of the Entra portal's download of interactive sign-ins, with its defects: trailing blanks, two blanks, a name twice. */
export const SIGN_IN_HEADER =
  'Date (UTC),Request ID,User agent,Correlation ID,User ID,User,Username,User type,Cross tenant access type,' +
  'Incoming token type,Authentication Protocol,Unique token identifier,Original transfer method,Client credential type,' +
  'Token Protection - Sign In Session,Token Protection - Sign In Session StatusCode,Application,Application ID ,' +
  'App owner tenant ID,Resource,Resource ID ,Resource tenant ID,Resource owner tenant ID,Home tenant ID,Home tenant name,' +
  'IP address,Location,Status,Sign-in error code,Failure reason,Client app,Device ID,Browser,Operating System,Compliant,' +
  'Managed,Join Type,Multifactor authentication result,Multifactor authentication auth method,' +
  'Multifactor authentication auth detail,Authentication requirement,Sign-in identifier,Session ID,' +
  'IP address (seen by resource),Through Global Secure Access,Global Secure Access IP address,Autonomous system  number,' +
  'Flagged for review,Token issuer type,Incoming token type,Token issuer name,Latency,Conditional Access,' +
  'Managed Identity type,Associated Resource Id,Federated Token Id,Federated Token Issuer'

/** A row of that download, by column; columns that are not here are empty. */
export function portalSignIn(fact: SignIn): Record<string, string> {
  const { scene, outcome, app, resource } = fact
  const { user, device, place } = scene
  return {
    'Date (UTC)': graphTime(scene.time),
    'Request ID': scene.id,
    'User agent': device.userAgent,
    'Correlation ID': fact.correlationId,
    'User ID': user.id,
    User: user.displayName,
    Username: user.upn,
    'User type': 'Member',
    'Unique token identifier': fact.tokenId,
    Application: app.name,
    'Application ID ': app.id,
    Resource: resource.name,
    'Resource ID ': resource.id,
    'Resource tenant ID': scene.tenant.id,
    'Home tenant ID': scene.tenant.id,
    'IP address': scene.address,
    Location: place.city ? `${place.city}, ${place.state}, ${place.country}` : '',
    Status: outcome.code === 0 ? 'Success' : outcome.code === 50126 || outcome.code === 53003 ? 'Failure' : 'Interrupted',
    'Sign-in error code': outcome.code === 0 ? '' : String(outcome.code),
    'Failure reason': outcome.reason,
    'Client app': device.phone ? 'Mobile Apps and Desktop clients' : 'Browser',
    'Device ID': device.id,
    Browser: device.browser,
    'Operating System': device.os,
    'Session ID': fact.sessionId,
    'Conditional Access': outcome.code === 0 ? 'Success' : 'Not Applied',
  }
}

/** Columns of Get-MessageTrace. */
export const MESSAGE_TRACE_HEADER =
  'Organization,MessageId,Received,SenderAddress,RecipientAddress,Subject,Status,ToIP,FromIP,Size,MessageTraceId,StartDate,EndDate,Index'

/** A time as PowerShell exports it in the United States, in UTC: `5/1/2026 9:12:33 AM`. */
export function powerShellTime(ms: number): string {
  const time = new Date(ms)
  const two = (value: number) => String(value).padStart(2, '0')
  const hour = time.getUTCHours()
  const date = `${time.getUTCMonth() + 1}/${time.getUTCDate()}/${time.getUTCFullYear()}`
  return `${date} ${hour % 12 || 12}:${two(time.getUTCMinutes())}:${two(time.getUTCSeconds())} ${hour < 12 ? 'AM' : 'PM'}`
}

/** Columns of an audit search in the Purview portal. */
export const PURVIEW_HEADER =
  'RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,AssociatedAdminUnitsNames'

/** An audit record as the Purview portal exports it: the record as JSON text in a cell. */
export function purviewRow(record: JsonObject): Record<string, string> {
  return {
    RecordId: String(record['Id']),
    CreationDate: String(record['CreationTime']),
    RecordType: String(record['RecordType']),
    Operation: String(record['Operation']),
    UserId: String(record['UserId']),
    AuditData: JSON.stringify(record),
    AssociatedAdminUnits: '',
    AssociatedAdminUnitsNames: '',
  }
}

const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`

/**
 * CSV as Export-Csv of Windows PowerShell writes it: a byte order mark, every cell quoted, CRLF. Cells that a row lacks are empty.
 * `header` are the column names, separated by commas.
 */
export function exportCsv(header: string, rows: readonly JsonObject[]): string {
  const columns = header.split(',')
  const lines = rows.map(row => columns.map(column => quoted(row[column] == null ? '' : String(row[column]))).join(','))
  return `\ufeff${[columns.map(quoted).join(','), ...lines].join('\r\n')}\r\n`
}
