// Every filter keeps the contract of its kind, and does what its cases say.
import t from 'tap'
import { listPlugins } from '../../core/plugin/registry.ts'
import { contract } from '../kit/contract.ts'

for (const { name, plugin } of await listPlugins('filter')) {
  await t.test(name, async t => contract(t, 'filter', name, plugin))
}
