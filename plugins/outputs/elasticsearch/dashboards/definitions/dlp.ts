// Matches of data loss prevention.
import type { Dashboard } from '../dashboard.ts'
import { audit } from '../data-views.ts'
import { documentList } from '../document-list.ts'
import { count, donut, largest, metric, series, table, top, unique } from '../lens.ts'

export const dlp: Dashboard = {
  id: 'dlp',
  title: 'Data loss prevention',
  description: 'Matches of DLP rules in mail, files and on devices; what was matched is not kept unless the pipeline says so',
  query:
    'event.code: (ComplianceDLPSharePoint or ComplianceDLPExchange or ComplianceDLPSharePointClassification or DLPEndpoint or ComplianceDLPExchangeClassification)',
  rows: [
    {
      height: 6,
      panels: [
        metric('Matches', audit, count('Matches')),
        metric('Blocked', audit, count('Blocked', 'event.outcome: failure')),
        metric('High severity', audit, count('High severity', 'event.severity >= 4')),
        metric('Users with matches', audit, unique('user.id', 'Users')),
        metric('Overridden or disputed', audit, count('With an exception', 'o365.audit.ExceptionInfo.Reason: *')),
      ],
    },
    {
      height: 12,
      panels: [
        series('Matches by rule', audit, { split: top('rule.name', 'Rule', 8, true), values: [count('Matches')] }),
        series('Matches by severity', audit, { split: top('event.severity', 'Severity', 5), values: [count('Matches')] }),
      ],
    },
    {
      height: 14,
      panels: [
        table(
          'Policies and rules',
          audit,
          [top('o365.audit.PolicyDetails.PolicyName', 'Policy', 10), top('rule.name', 'Rule', 10)],
          [count('Matches'), count('Blocked', 'event.outcome: failure'), unique('user.id', 'Users')],
        ),
        table(
          'Users with the most matches',
          audit,
          [top('user.id', 'User', 20)],
          [count('Matches'), count('Blocked', 'event.outcome: failure'), largest('event.severity', 'Highest severity')],
        ),
      ],
    },
    {
      height: 12,
      panels: [
        donut('Where', audit, top('event.provider', 'Service', 6), count('Matches')),
        table('Files', audit, [top('file.name', 'File', 20), top('file.owner', 'Owner', 3)], [count('Matches')]),
        table('Recipients', audit, [top('destination.user.email', 'Recipient', 20)], [count('Matches')]),
      ],
    },
    {
      height: 14,
      panels: [
        documentList('Latest matches', audit, [
          'user.id',
          'event.action',
          'rule.name',
          'event.severity',
          'event.outcome',
          'file.name',
          'message',
        ]),
      ],
    },
  ],
}
