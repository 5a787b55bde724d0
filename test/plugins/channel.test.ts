// Many sources, one reader: nothing is lost or overtaken, and writers wait while it is full.
import t from 'tap'
import { channel } from '../../plugins/lib/channel.ts'
import { quiet } from '../kit/virtual-clock.ts'

const never = new AbortController().signal

t.test('what each writer pushes comes in its order, and writers wait while it is full', async t => {
  const numbers = channel<{ writer: number; n: number; size: number }>(100, ({ size }) => size)
  const pushed = [0, 0, 0]
  const writing = pushed.map(async (_, writer) => {
    for (let n = 0; n < 50; n++) {
      await numbers.push({ writer, n, size: 10 + n }, never)
      pushed[writer]!++
    }
  })
  void Promise.all(writing).then(() => numbers.end())
  await quiet()
  t.ok(pushed.reduce((sum, count) => sum + count) < 12, 'nobody reads: few are taken')
  const came = [0, 0, 0]
  for await (const { writer, n } of numbers) {
    t.equal(n, came[writer]!++)
    await quiet()
  }
  t.same(came, [50, 50, 50])
})

t.test('one value is taken however large, and a writer that waits hears of an abort', async t => {
  const large = channel<number>(10, size => size)
  const stop = new AbortController()
  const waiting = large.push(1_000, stop.signal)
  await quiet()
  stop.abort()
  await t.rejects(waiting, { name: 'AbortError' })
  await t.rejects(large.push(1, stop.signal), { name: 'AbortError' }, 'nothing is taken after it')
  large.end()
  const came: number[] = []
  for await (const value of large) came.push(value)
  t.same(came, [1_000], 'what was taken arrives')
})

t.test('an error ends it behind what came before', async t => {
  const broken = channel<string>(10, text => text.length)
  await broken.push('one', never)
  broken.end(new Error('the source broke'))
  broken.end()
  const came: string[] = []
  await t.rejects(
    (async () => {
      for await (const value of broken) came.push(value)
    })(),
    { message: 'the source broke' },
  )
  t.same(came, ['one'])
})
