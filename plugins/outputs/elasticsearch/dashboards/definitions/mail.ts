// Messages and mailboxes.
import type { Dashboard } from '../dashboard.ts'
import { audit, messageTrace } from '../data-views.ts'
import { documentList } from '../document-list.ts'
import { count, metric, series, sum, table, top, unique } from '../lens.ts'

export const mail: Dashboard = {
  id: 'mail',
  title: 'Mail',
  description: 'Messages by their trace, and what happens in mailboxes',
  query: '',
  rows: [
    {
      height: 6,
      panels: [
        metric('Messages', messageTrace, count('Traced')),
        metric('Delivered', messageTrace, count('Delivered', 'event.outcome: success')),
        metric('Not delivered', messageTrace, count('Not delivered', 'event.outcome: failure')),
        metric('Size', messageTrace, sum('microsoft.online_message_trace.Size', 'Bytes')),
      ],
    },
    {
      height: 12,
      panels: [
        series('Messages by status', messageTrace, {
          split: top('microsoft.online_message_trace.Status', 'Status', 8),
          values: [count('Messages')],
        }),
        series('Messages by direction', messageTrace, {
          split: top('email.direction', 'Direction', 4),
          values: [count('Messages')],
        }),
      ],
    },
    {
      height: 14,
      panels: [
        table(
          'Senders',
          messageTrace,
          [top('email.from.address', 'Sender', 20)],
          [count('Messages'), unique('email.to.address', 'Recipients')],
        ),
        table(
          'Domains of senders',
          messageTrace,
          [top('source.domain', 'Domain', 20)],
          [count('Messages'), count('Not delivered', 'event.outcome: failure')],
        ),
        table('Recipients of mail', messageTrace, [top('email.to.address', 'Recipient', 20)], [count('Messages')]),
      ],
    },
    {
      height: 12,
      panels: [
        series('What is done in mailboxes', audit, {
          split: top('event.action', 'Operation', 10, true),
          values: [count('Operations', 'event.category: email')],
        }),
        table(
          'Mail with threats',
          audit,
          [top('o365.audit.Verdict', 'Verdict', 5), top('email.subject', 'Subject', 20)],
          [count('Messages', 'event.code: ThreatIntelligence')],
        ),
      ],
    },
    {
      height: 14,
      panels: [
        documentList(
          'Messages that were not delivered',
          messageTrace,
          ['email.from.address', 'email.to.address', 'email.subject', 'microsoft.online_message_trace.Status'],
          'event.outcome: failure',
        ),
      ],
    },
  ],
}
