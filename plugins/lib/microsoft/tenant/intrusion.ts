// A break-in, as the logs tell it: passwords guessed for many, one that fits, a rule that forwards mail, files taken, an alert.
import type { JsonObject } from '../../../../core/plugin/json.ts'
import { STREAM } from './draw.ts'
import { NOWHERE } from './networks.ts'
import { SCRIPT } from './people.ts'
import { exchangeAdminRecord } from './records/exchange-admin.ts'
import { fileRecord } from './records/files.ts'
import { alertRecord } from './records/general.ts'
import { riskOf, riskRecord } from './records/risk.ts'
import { LOCKED, SUCCESS, signIn, signInRecord, WRONG_PASSWORD } from './records/sign-in.ts'
import type { Scene, World } from './world.ts'

export interface Intrusion {
  /** Number of the tenant. */
  readonly tenant: number
  /** Number of the user whose password fits. */
  readonly victim: number
  /** Begin: milliseconds since 1970. */
  readonly time: number
  /** Where it comes from. */
  readonly address: string
  /** How many users are tried, twice each. */
  readonly tried: number
  readonly files: number
}

const MINUTE = 60_000
/** A place in the index of the story's stream that no other story reaches. */
const ROOM = 10_000

/** The audit records of a break-in, in the order of their times. */
export function intrusion(world: World, { tenant: number, victim, time, address, tried, files }: Intrusion): JsonObject[] {
  const tenant = world.tenants[number]
  const forwarding = tenant?.alerts[1]
  if (!tenant || !forwarding) throw new RangeError(`there is no tenant ${number}`)
  let index = (number + 1) * ROOM + victim
  const at = (minutes: number, user: number): Scene =>
    world.scene(STREAM.story, index++, {
      tenant,
      user: tenant.user(user),
      time: time + minutes * MINUTE,
      address,
      place: NOWHERE,
      device: SCRIPT,
    })

  const records: JsonObject[] = []
  for (let round = 0; round < 2; round++) {
    for (let user = 0; user < tried; user++) {
      records.push(signInRecord(signIn(at(round * 10 + user / 4, user), { outcome: WRONG_PASSWORD })))
    }
  }
  const locked = (victim + 1) % tried
  for (let guess = 0; guess < 5; guess++) records.push(signInRecord(signIn(at(21 + guess / 10, locked), { outcome: LOCKED })))
  for (let guess = 0; guess < 8; guess++)
    records.push(signInRecord(signIn(at(22 + guess / 10, victim), { outcome: WRONG_PASSWORD })))

  const entry = signIn(at(24, victim), { outcome: SUCCESS, risk: 'high' })
  records.push(signInRecord(entry))
  const hidden = {
    name: 'New-InboxRule',
    parameters: () => ({
      AlwaysDeleteOutlookRulesBlob: 'False',
      DeleteMessage: 'True',
      Force: 'False',
      ForwardTo: 'box4711@mail.wingtip.example',
      Name: '.',
      SubjectOrBodyContainsWords: 'invoice;payment;bank',
    }),
  }
  records.push(exchangeAdminRecord(at(29, victim), hidden))
  for (let file = 0; file < files; file++) records.push(fileRecord(at(31 + file / 8, victim), 'FileDownloaded'))
  records.push(alertRecord(at(31 + files / 8, victim), { policy: forwarding }))
  records.push(riskRecord(riskOf(entry), at(0, victim).id))
  return records.sort((one, other) => (String(one['CreationTime']) < String(other['CreationTime']) ? -1 : 1))
}
