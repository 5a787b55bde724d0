// What happens in the tenants.
import type { Dashboard } from '../dashboard.ts'
import { audit } from '../data-views.ts'
import { count, donut, metric, series, table, top, unique } from '../lens.ts'

export const overview: Dashboard = {
  id: 'overview',
  title: 'Microsoft 365 overview',
  description: 'What happens in the tenants, by service, operation and user',
  query: '',
  rows: [
    {
      height: 6,
      panels: [
        metric('Events', audit, count('Events')),
        metric('Users', audit, unique('user.id', 'Users')),
        metric('Operations', audit, unique('event.action', 'Different operations')),
        metric('Failures', audit, count('Failures', 'event.outcome: failure')),
        metric('Alerts', audit, count('Alerts', 'event.kind: alert')),
        metric('Countries', audit, unique('source.geo.country_iso_code', 'Countries')),
      ],
    },
    {
      height: 12,
      panels: [
        series('Events by service', audit, { split: top('event.provider', 'Service', 8, true), values: [count('Events')] }),
      ],
    },
    {
      height: 14,
      panels: [
        series('Operations by number', audit, {
          as: 'bar_horizontal',
          over: top('event.action', 'Operation', 15),
          values: [count('Events')],
        }),
        table(
          'Users by number of events',
          audit,
          [top('user.id', 'User', 20)],
          [
            count('Events'),
            unique('event.action', 'Operations'),
            unique('source.ip', 'Addresses'),
            count('Failures', 'event.outcome: failure'),
          ],
        ),
      ],
    },
    {
      height: 12,
      panels: [
        donut('Record types', audit, top('event.code', 'Record type', 12, true), count('Events')),
        donut('Outcomes', audit, top('event.outcome', 'Outcome', 3), count('Events')),
        donut('Tenants', audit, top('organization.name', 'Tenant', 10, true), count('Events')),
      ],
    },
  ],
}
