// Penstock's own health.
import type { Dashboard } from '../dashboard.ts'
import { all, own } from '../data-views.ts'
import { count, largest, metric, newest, series, table, top, unique } from '../lens.ts'

export const health: Dashboard = {
  id: 'health',
  title: "Penstock's own health",
  description: 'Up to when each tenant is complete, how late records come, and what could not be indexed in full',
  query: '',
  rows: [
    {
      height: 6,
      panels: [
        metric('Documents', all, count('Documents')),
        metric('Data sets', all, unique('event.dataset', 'Data sets')),
        metric('With values that could not be indexed', all, count('With values that could not be indexed', '_ignored: *')),
        metric('Without a time', all, count('Without a time of their own', 'tags: no_timestamp')),
      ],
    },
    {
      height: 12,
      panels: [
        table(
          'Complete until',
          own,
          [top('organization.id', 'Tenant', 50), top('penstock.completeness.content_type', 'Content type', 10)],
          [
            newest('penstock.completeness.complete_until', 'Complete until'),
            newest('penstock.completeness.delay_p99_ms', 'Delay of 99 in 100 (ms)'),
          ],
        ),
        series('How late records come', own, {
          as: 'line',
          split: top('penstock.completeness.content_type', 'Content type', 10),
          values: [largest('penstock.completeness.delay_p99_ms', 'Delay of 99 in 100 (ms)')],
        }),
      ],
    },
    {
      height: 12,
      panels: [
        series('Documents by data set', all, { split: top('event.dataset', 'Data set', 10), values: [count('Documents')] }),
        table('Fields whose values could not be indexed', all, [top('_ignored', 'Field', 20)], [count('Documents')]),
      ],
    },
  ],
}
