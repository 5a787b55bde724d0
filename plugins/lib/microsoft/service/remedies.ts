// What the codes of Entra and of the Management Activity API mean, in plain words, and what to do about each.
// Sources: the API's error table and its troubleshooting page; Entra's list of AADSTS errors; AF20024 and AF5000x as seen in use.

export interface Remedy {
  readonly meaning: string
  readonly remedy: string
}

const BUG = 'This is a mistake of Penstock: please report it with this line.'
const OTHER_CLOUD =
  "Set cloud to the one in which the tenant lives: worldwide or gcc, which share a login; gcc_high or dod, which share the US government's."
const AGAIN = 'Nothing is to be done: it is tried again.'

const AF: Readonly<Record<string, Remedy>> = {
  AF10001: {
    meaning: 'the token lacks the role that this call needs',
    remedy:
      'Give the application the role ActivityFeed.Read (of "Office 365 Management APIs", as an application permission), and have an administrator consent.',
  },
  AF20001: { meaning: 'a parameter of the request is missing', remedy: BUG },
  AF20002: { meaning: 'a parameter of the request has the wrong type', remedy: BUG },
  AF20003: { meaning: "the webhook's expiration lies in the past", remedy: BUG },
  AF20010: {
    meaning: 'the tenant of the request is not the tenant of the token',
    remedy: 'Compare tenant_id with the directory in which the application is registered or was consented to.',
  },
  AF20011: { meaning: 'the tenant is unknown or was deleted', remedy: 'Check tenant_id and cloud.' },
  AF20012: { meaning: 'the tenant is wrongly set up in the service', remedy: 'Open a ticket with Microsoft.' },
  AF20013: { meaning: 'the tenant id is no GUID', remedy: 'Write tenant_id as a GUID, not as a domain name.' },
  AF20020: { meaning: 'the content type is unknown to the service', remedy: 'Take it out of content_types.' },
  AF20021: {
    meaning: 'the service could not reach the webhook',
    remedy:
      "Its address must begin with https:// and answer the service's own POST with 200: check name, certificate and firewall.",
  },
  AF20022: {
    meaning: 'there is no subscription for this content type',
    remedy: 'Penstock starts one when it runs; content from before that cannot be had.',
  },
  AF20023: {
    meaning: 'the subscription was disabled',
    remedy: 'An administrator of the tenant or of the service stopped it; Penstock starts it again when it runs.',
  },
  AF20024: { meaning: 'the subscription is enabled already', remedy: 'All is well.' },
  AF20030: { meaning: 'the time window of a listing is not allowed', remedy: "Compare this machine's clock with the service's." },
  AF20031: {
    meaning: 'the next page of a listing is not known any more',
    remedy: 'Nothing is to be done: the window is listed again.',
  },
  AF20050: { meaning: 'the content does not exist', remedy: 'It is counted and dead-lettered by its id.' },
  AF20051: { meaning: 'the content has expired', remedy: 'It is counted and dead-lettered by its id.' },
  AF20052: { meaning: 'the id of the content is invalid', remedy: 'It is counted and dead-lettered by its id.' },
  AF20053: { meaning: 'more than one language was asked for', remedy: BUG },
  AF20054: { meaning: 'the language asked for is none', remedy: BUG },
  AF20055: { meaning: 'the time window of a listing is not allowed', remedy: "Compare this machine's clock with the service's." },
  AF429: {
    meaning: 'the service takes no more requests for now',
    remedy:
      'Penstock waits. When it goes on for hours, lower requests_per_minute, or look for other programs that use the same tenant.',
  },
  AF50000: { meaning: 'the service has an error of its own', remedy: AGAIN },
  AF50005: { meaning: 'the service has an error of its own', remedy: AGAIN },
  AF50006: { meaning: 'the service has an error of its own', remedy: AGAIN },
}

const AADSTS: Readonly<Record<string, Remedy>> = {
  AADSTS7000215: {
    meaning: 'the client secret is wrong',
    remedy: "Often the secret's id was pasted in place of its value, which the portal shows only once.",
  },
  AADSTS7000222: {
    meaning: 'the client secret has expired',
    remedy: 'Make a new one in the app registration; Penstock reads it when its file changes.',
  },
  AADSTS700016: {
    meaning: 'the application is not known in this tenant',
    remedy: "Check client_id and tenant_id, and that the tenant's administrator has consented.",
  },
  AADSTS90002: { meaning: 'the tenant is unknown', remedy: 'Check tenant_id and cloud.' },
  AADSTS500011: {
    meaning: 'the tenant knows no such resource',
    remedy: 'Check cloud and audience; in a new tenant consent to "Office 365 Management APIs" first.',
  },
  AADSTS700027: {
    meaning: "the certificate is not the application's",
    remedy: 'Upload its public part to the app registration, and check that key and certificate belong together.',
  },
  AADSTS700021: { meaning: 'the assertion names another application', remedy: 'Check client_id.' },
  AADSTS700023: { meaning: 'the assertion is meant for another audience', remedy: 'Check cloud and authority_url.' },
  AADSTS7000112: { meaning: 'the application is disabled', remedy: 'Enable it under Enterprise applications.' },
  AADSTS7000218: { meaning: 'no secret and no assertion came with the request', remedy: BUG },
  AADSTS900144: { meaning: 'a parameter of the request is missing', remedy: BUG },
  AADSTS70011: { meaning: 'the scope is invalid', remedy: 'Check audience, and cloud.' },
  AADSTS9001023: {
    meaning: 'this grant needs the id of a tenant',
    remedy: 'Write tenant_id as a GUID, not as common or organizations.',
  },
  AADSTS90038: { meaning: 'the tenant lives in another cloud', remedy: OTHER_CLOUD },
  AADSTS900382: { meaning: 'the application lives in another cloud than the tenant', remedy: OTHER_CLOUD },
  AADSTS90055: { meaning: 'Entra takes no more requests for now', remedy: AGAIN },
  AADSTS53003: {
    meaning: 'conditional access forbids it',
    remedy: 'Let the policy for workload identities admit the address of this machine.',
  },
  AADSTS530032: { meaning: 'a security policy of the tenant forbids it', remedy: 'Ask its administrator.' },
  AADSTS50012: { meaning: 'the assertion was not accepted', remedy: 'Check certificate, key and the clock of this machine.' },
  AADSTS650051: {
    meaning: 'the application asks for permissions that are out of date',
    remedy: 'Take ActivityReports.Read and ThreatIntelligence.Read out of the app registration, and consent again.',
  },
}

/** The audit log of the tenant is off: a start says so in a text, without a code of its own. */
export const AUDIT_LOG_OFF = {
  meaning: 'the service says that the tenant does not exist in its audit service',
  remedy: 'Have an administrator turn the audit log of the tenant on; that may take up to 60 minutes to take effect.',
  /** Microsoft.Office.Compliance.Audit.DataServiceException: Tenant 1111… does not exist. */
  test: (body: string): boolean => /DataServiceException\b[\s\S]*\bTenant\b[\s\S]*\bdoes not exist/i.test(body),
} as const

/** `AF20022` or `AADSTS7000215`, in plain words; undefined for a code that is in no list. */
export function remedyOf(code: string): Remedy | undefined {
  return AF[code] ?? AADSTS[code]
}

/** A code with what it means and what to do, as one text for logs and errors. */
export function explained(code: string): string {
  const known = remedyOf(code)
  return known ? `${code}: ${known.meaning}. ${known.remedy}` : code
}
