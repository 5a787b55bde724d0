// Who signs in, and from where.
import { countryMap } from '../country-map.ts'
import type { Dashboard } from '../dashboard.ts'
import { audit } from '../data-views.ts'
import { documentList } from '../document-list.ts'
import { count, donut, metric, newest, series, table, top, unique } from '../lens.ts'

export const signIns: Dashboard = {
  id: 'sign-ins',
  title: 'Microsoft 365 sign-ins',
  description: 'Who signs in from where, and who fails to. Countries come from a geoip filter in the pipeline',
  query: 'event.category: authentication',
  rows: [
    {
      height: 6,
      panels: [
        metric('Successful', audit, count('Successful sign-ins', 'event.outcome: success')),
        metric('Failed', audit, count('Failed sign-ins', 'event.outcome: failure')),
        metric('Users signing in', audit, unique('user.id', 'Users')),
        metric('Addresses', audit, unique('source.ip', 'Addresses')),
      ],
    },
    { height: 18, panels: [countryMap('Sign-ins by country', audit, 'source.geo.country_iso_code', 'sign-ins')] },
    {
      height: 11,
      panels: [series('Sign-ins by outcome', audit, { split: top('event.outcome', 'Outcome', 3), values: [count('Sign-ins')] })],
    },
    {
      height: 14,
      panels: [
        table(
          'Users with the most failures',
          audit,
          [top('user.id', 'User', 20)],
          [
            count('Failures', 'event.outcome: failure'),
            count('Successes', 'event.outcome: success'),
            unique('source.geo.country_iso_code', 'Countries'),
          ],
        ),
        table(
          'Addresses with the most failures',
          audit,
          [top('source.ip', 'Address', 20)],
          [
            count('Failures', 'event.outcome: failure'),
            unique('user.id', 'Users'),
            newest('source.geo.country_name', 'Country'),
            newest('source.as.organization.name', 'Network'),
          ],
        ),
      ],
    },
    {
      height: 12,
      panels: [
        donut(
          'Reasons of failures',
          audit,
          top('o365.audit.LogonError', 'Reason', 10, true),
          count('Failures', 'event.outcome: failure'),
        ),
        donut('Applications', audit, top('o365.audit.ApplicationId', 'Application', 10, true), count('Sign-ins')),
        table(
          'User agents',
          audit,
          [top('user_agent.original', 'User agent', 20)],
          [count('Sign-ins'), unique('user.id', 'Users')],
        ),
      ],
    },
    {
      height: 14,
      panels: [
        documentList(
          'Latest failures',
          audit,
          ['user.id', 'source.ip', 'source.geo.country_name', 'o365.audit.LogonError'],
          'event.outcome: failure',
        ),
      ],
    },
  ],
}
