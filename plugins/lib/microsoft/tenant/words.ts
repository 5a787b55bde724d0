// Subjects, file names and other words: ordinary office life, in several scripts, about nobody.
import type { Draw } from './draw.ts'

const SUBJECTS = [
  'Minutes of Tuesday',
  'Travel plans',
  'Offer no. 4711, second draft',
  'Re: Room for the workshop',
  'Quarter close: what is missing',
  'Lunch?',
  'Grüße aus Würzburg',
  'Réunion de jeudi',
  'Hoja de gastos',
  '会議の議事録',
  'Протокол встречи',
  'Fwd: Parking places',
  '"Final" version, really',
  'Re: Re: Re: Printer on floor 3',
  'Welcome to the team 🎉',
  'Your ticket has been updated',
  'Invoice 2026-0517',
  'Holiday calendar',
  'Onboarding list',
] as const
const JUNK = [
  'Your mailbox is full, verify now',
  'Unpaid invoice attached',
  'You received a secure document',
  'Parcel could not be delivered',
  'Password expires today',
] as const
const FILES = [
  'Budget',
  'Plan',
  'Minutes',
  'Offer',
  'Contract draft',
  'Roadmap',
  'Inventory',
  'Checklist',
  'Größenliste',
  'Résumé',
  '見積書',
  'Photo',
  'Report (final)',
] as const
const EXTENSIONS = [
  'docx',
  'docx',
  'docx',
  'xlsx',
  'xlsx',
  'xlsx',
  'pptx',
  'pdf',
  'pdf',
  'txt',
  'png',
  'one',
  'aspx',
  'zip',
] as const
const FOLDERS = ['', '', '2026', '2026/Q2', 'Archive', 'Shared with team', 'Projekt Würzburg', 'Travel/Lisbon'] as const

export const drawSubject = (draw: Draw): string => draw.pick(SUBJECTS)
export const drawJunkSubject = (draw: Draw): string => draw.pick(JUNK)
/** A folder inside a library, without slashes at its ends; '' for the library itself. */
export const drawFolder = (draw: Draw): string => draw.pick(FOLDERS)

export interface FileName {
  readonly name: string
  readonly extension: string
}

export function drawFile(draw: Draw): FileName {
  const extension = draw.pick(EXTENSIONS)
  return { name: `${draw.pick(FILES)} ${1 + draw.below(60)}.${extension}`, extension }
}

/** Attachments as a mailbox record lists them: one text, names with sizes. */
export function drawAttachments(draw: Draw): string {
  const count = 1 + draw.skewed(0, 3)
  return Array.from({ length: count }, () => `${drawFile(draw).name} (${draw.skewed(500, 4_000_000)}b)`).join('; ')
}
