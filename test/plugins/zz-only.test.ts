import t from 'tap'
import { listPlugins } from '/work/main/core/plugin/registry.ts'
import { contract } from '/work/main/test/kit/contract.ts'
for (const { name, plugin } of await listPlugins('filter')) if (name === 'ecs') await t.test(name, async t => contract(t, 'filter', name, plugin))
