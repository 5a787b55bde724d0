// Which id an event has: its chunk's goes before that of its fields, and that before what the record has in the input's idField.
import t from 'tap'
import type { Input, Item, Output } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import { chunkOf, inProcess, type Setup } from '../kit/in-process.ts'

const RECORDS = [
  { Id: 'a', n: 0 },
  { Id: 'a', n: 1 },
  { Id: 'b', event: { id: 'own' }, n: 2 },
  { Id: '', n: 3 },
  { Id: 7, n: 4 },
]

/** An output that remembers each item's id. */
function idsOutput(ids: string[]): () => Output {
  return () => ({
    encode(event, to) {
      to.json(event.fields)
      return undefined
    },
    async write(items: readonly Item[]) {
      ids.push(...items.map(({ id }) => id))
    },
  })
}

function once(ids?: ReadonlyMap<number, string>): Pick<Input, 'read'> {
  return {
    async *read(positions) {
      if (positions.get('') === undefined) yield chunkOf(RECORDS, { position: 1, ...(ids && { ids }) })
    },
  }
}

function built(setup: Setup) {
  const made = inProcess(setup)
  for (const { plugin } of made.config.inputs) Object.assign(plugin, { idField: 'Id' })
  return made
}

t.test('a chunk may give single records ids of their own; the others have theirs, or a hash', async t => {
  const ids: string[] = []
  const { pipeline } = built({ inputs: { in: once(new Map([[1, 'a~2']])) }, outputs: { out: { output: idsOutput(ids) } } })
  await pipeline.run()
  t.same(ids.slice(0, 3), ['a', 'a~2', 'own'])
  t.match(ids[3], /^[\da-f]{32}$/, 'an empty id is none')
  t.match(ids[4], /^[\da-f]{32}$/, 'a number is none')
})

t.test('what a filter puts into event.id does not hide the id that the chunk gave, and parts count from it', async t => {
  const ids: string[] = []
  const filter = () => ({
    apply(event: Parameters<NonNullable<ReturnType<NonNullable<Setup['filters']>[string]['filter']>['apply']>>[0]) {
      event.fields['event'] = { id: event.fields['Id'] as string }
      return event.fields['n'] === 1 ? event.split([{ part: 1 }, { part: 2 }] as JsonObject[]) : event
    },
  })
  const { pipeline } = built({
    inputs: {
      in: once(
        new Map([
          [0, 'a~1'],
          [1, 'a~2'],
        ]),
      ),
    },
    filters: { set: { filter } },
    outputs: { out: { output: idsOutput(ids) } },
  })
  await pipeline.run()
  t.same(ids.slice(0, 4), ['a~1', 'a~2#1', 'a~2#2', 'b'])
})

t.test('a dead letter keeps the id that its chunk gave, and a replay has it again', async t => {
  const ids: string[] = []
  let broken = true
  const filter = () => ({
    apply(event: Parameters<NonNullable<ReturnType<NonNullable<Setup['filters']>[string]['filter']>['apply']>>[0]) {
      if (broken && event.fields['n'] === 1) throw new Error('not this one')
      return event
    },
  })
  const setup: Setup = {
    inputs: { in: once(new Map([[1, 'a~2']])) },
    filters: { break: { filter } },
    outputs: { out: { output: idsOutput(ids) } },
  }
  const first = built(setup)
  await first.pipeline.run()
  t.equal(ids.length, 4)
  const [letter] = await first.store.letters.list({})
  t.equal(letter?.event, 'a~2')
  await first.store.letters.mark({})
  broken = false
  await built({ ...setup, store: first.store }).pipeline.run()
  t.same(ids.slice(4), ['a~2'])
})
