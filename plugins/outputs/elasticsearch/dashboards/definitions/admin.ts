// Administrative changes.
import type { Dashboard } from '../dashboard.ts'
import { audit } from '../data-views.ts'
import { documentList } from '../document-list.ts'
import { count, metric, series, table, top, unique } from '../lens.ts'

const CHANGES = 'event.code: (ExchangeAdmin or AzureActiveDirectory) or event.category: iam'

export const admin: Dashboard = {
  id: 'admin',
  title: 'Administrative changes',
  description: 'Changes of the directory and commands of Exchange: roles, consents, forwarding',
  query: CHANGES,
  rows: [
    {
      height: 6,
      panels: [
        metric('Changes', audit, count('Changes')),
        metric('Administrators', audit, unique('user.id', 'Administrators')),
        metric('Roles given', audit, count('Roles given', 'event.action: "Add member to role."')),
        metric('Consents', audit, count('Consents', 'event.action: "Consent to application."')),
        metric(
          'Forwarding',
          audit,
          count(
            'Forwarding set up',
            'o365.audit.Parameters.ForwardTo: * or o365.audit.Parameters.RedirectTo: * or o365.audit.Parameters.ForwardingSmtpAddress: * or o365.audit.Parameters.ForwardAsAttachmentTo: *',
          ),
        ),
        metric('Failed changes', audit, count('Failed changes', 'event.outcome: failure')),
      ],
    },
    {
      height: 12,
      panels: [
        series('Changes by operation', audit, { split: top('event.action', 'Operation', 10, true), values: [count('Changes')] }),
      ],
    },
    {
      height: 14,
      panels: [
        table('Who changes', audit, [top('user.id', 'Who', 20)], [count('Changes'), unique('event.action', 'Operations')]),
        table(
          'What is changed',
          audit,
          [top('event.action', 'Operation', 20), top('o365.audit.ObjectId', 'Object', 5)],
          [count('Changes')],
        ),
        table(
          'Roles',
          audit,
          [top('o365.audit.ModifiedProperties.Role_DisplayName.NewValue', 'Role', 20), top('user.target.id', 'Given to', 5)],
          [count('Times')],
        ),
      ],
    },
    {
      height: 16,
      panels: [
        documentList('Latest changes', audit, [
          'user.id',
          'event.action',
          'o365.audit.ObjectId',
          'user.target.id',
          'event.outcome',
          'source.ip',
        ]),
      ],
    },
  ],
}
