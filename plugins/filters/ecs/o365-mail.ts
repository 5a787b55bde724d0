// Mailbox items (record type 2), mail with a threat in it (28) and Safe Links clicks (41).
import { isObject } from '../../../core/plugin/json.ts'
import { cut } from '../../lib/flat-text.ts'
import { readAddress } from '../../lib/microsoft/address.ts'
import { addNew, given, objects, text, texts } from './draft.ts'
import type { Kind } from './o365-kinds.ts'

interface Attachment {
  readonly file: { readonly name: string; readonly extension?: string; readonly size?: number }
}

export const mailboxItem: Kind = {
  category: ['web', 'email'],
  fill(record, { doc }) {
    const item = record['Item']
    if (!isObject(item)) return
    const subject = texts(item['Subject'])
    const attachments = readAttachments(item['Attachments'])
    const email = given({
      attachments: attachments.length > 0 ? attachments : undefined,
      subject: subject.length > 0 ? subject : undefined,
    })
    if (email) doc['email'] = email
  },
}

const SIZE = / \((\d+)b\)$/

/** `photo (2).png (599b); plan.pdf (4824b)`: names hold blanks, parentheses and semicolons themselves, sizes are bytes. */
function readAttachments(value: unknown): Attachment[] {
  const found: Attachment[] = []
  if (typeof value !== 'string' || value === '') return found
  let name = ''
  for (const piece of value.split('; ')) {
    name += name === '' ? piece : `; ${piece}`
    const size = SIZE.exec(piece)
    if (!size) continue
    found.push({ file: { ...named(cut(name, 0, name.length - size[0].length)), size: Number(size[1]) } })
    name = ''
  }
  if (name !== '') found.push({ file: named(name) })
  return found
}

function named(name: string): { name: string; extension?: string } {
  const dot = name.lastIndexOf('.')
  return dot > 0 && dot < name.length - 1 ? { name, extension: cut(name, dot + 1) } : { name }
}

export const threatMail: Kind = {
  fill(record, { doc, user, users, ips }) {
    const list = (value: unknown) => {
      const found = texts(value)
      return found.length > 0 ? found : undefined
    }
    const sender = list(record['P1Sender'])
    const to = list(record['Recipients'])
    const attachments = objects(record['AttachmentData']).flatMap(data => {
      const name = text(data['FileName'])
      const sha256 = text(data['SHA256'])
      const file = given({ ...(name === undefined ? {} : named(name)), hash: sha256 === undefined ? undefined : { sha256 } })
      return file ? [{ file }] : []
    })
    const email = given({
      attachments: attachments.length > 0 ? attachments : undefined,
      local_id: list(record['NetworkMessageId']),
      message_id: list(record['InternetMessageId']),
      sender: sender && { address: sender },
      subject: list(record['Subject']),
      to: to && { address: to },
    })
    if (email) doc['email'] = email
    addNew(users, text(user['name']))
    addNew(users, text(user['id']))
    const from = readAddress(record['SenderIp'])
    addNew(ips, from?.ip)
  },
}

export const click: Kind = {
  address: 'UserIp',
  fill(record, { doc }) {
    const original = text(record['Url']) ?? text(record['URL'])
    if (original !== undefined) {
      const domain = URL.parse(original)?.hostname
      doc['url'] = domain ? { original, full: original, domain } : { original, full: original }
    }
    // For a click in a mail the source is the mail's network message id; elsewhere it is a document's or a chat's.
    const source = text(record['SourceId'])
    if (source !== undefined && record['AppName'] === 'Mail') doc['email'] = { local_id: [source] }
  },
}
