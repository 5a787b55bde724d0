// The rules of single audit record types: their categories, and what they fill in beyond the common rules.
import type { JsonObject } from '../../../core/plugin/json.ts'
import type { Draft } from './draft.ts'
import { alert } from './o365-alerts.ts'
import { dlp } from './o365-dlp.ts'
import { directory, riskDetection, signIn } from './o365-entra.ts'
import { type Move, type Moves, moves } from './o365-keep.ts'
import { click, mailboxItem, threatMail } from './o365-mail.ts'
import { adminCommand, fileWork, group, team } from './o365-work.ts'

/** What a record is to ECS. */
export interface Sort {
  /** Default: `web`, with which every list begins. */
  readonly category?: readonly string[]
  /** Default: `info`, with which every list begins. */
  readonly type?: readonly string[]
  /** In place of the operation. */
  readonly action?: string
}

/** What a record type does beyond the common rules. */
export interface Kind extends Sort {
  readonly kind?: 'alert'
  /** By operation, in place of the kind's own category and type. */
  readonly operations?: ReadonlyMap<string, Sort>
  /** Fields of the record that do not stay below o365.audit as they are. */
  readonly moves?: Readonly<Record<string, Move>>
  /** Where the client's address is, when none of the common fields has it. */
  readonly address?: string
  fill?(record: JsonObject, draft: Draft): void
}

/** A kind with its moves ready for use. */
export type ReadyKind = Kind & { readonly all: Moves }

const kinds = new Map<number, ReadyKind>()
const plain: ReadyKind = { all: moves() }
const add = (kind: Kind, ...numbers: number[]) => {
  const ready = { ...kind, all: moves(kind.moves) }
  for (const number of numbers) kinds.set(number, ready)
}

add(adminCommand, 1)
add(mailboxItem, 2)
add({ ...fileWork, category: ['web', 'file'] }, 6)
add(directory, 8)
add(dlp, 11, 13, 33, 63, 107)
add({ ...fileWork, operations: new Map() }, 14)
add(signIn, 15)
add(group, 22)
add(team, 25)
add(threatMail, 28)
add(alert, 40)
add(click, 41)
add(riskDetection, 294)

/** The rules of a record type, by number; the common ones for those that have none of their own. */
export function kindOf(number: number): ReadyKind {
  return kinds.get(number) ?? plain
}
