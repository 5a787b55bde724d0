// The pool of buffers in shared memory, and the writer that grows through its sizes.
import t from 'tap'
import { buffers, POOLED_BYTES } from '../../core/plugin/buffers.ts'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'

t.test('what is given back is handed out again, to one holder at a time, and to those who ask for its size', async t => {
  const small = buffers.take(100)
  const large = buffers.take()
  t.equal(large.length, POOLED_BYTES)
  t.ok(small.length < POOLED_BYTES / 10, 'a few lines do not hold the memory of a whole chunk')
  buffers.recycle(small.subarray(0, 10))
  buffers.recycle(small)
  t.equal(buffers.take(small.length).buffer, small.buffer, 'also when a view of it was given back')
  t.not(buffers.take(100).buffer, small.buffer, 'not twice, though it was given back twice')
  buffers.recycle(large)
  t.not(buffers.take(100).buffer, large.buffer)
  t.equal(buffers.take(small.length + 1).buffer, large.buffer)
  const huge = buffers.take(POOLED_BYTES + 1)
  t.equal(huge.length, POOLED_BYTES + 1)
  buffers.recycle(huge)
  t.not(buffers.take(POOLED_BYTES + 1).buffer, huge.buffer, 'what is larger than usual is not kept')
})

t.test('what a burst has taken is let go when it was not needed for long', async t => {
  const burst = Array.from({ length: 200 }, () => buffers.take())
  const memories = new Set(burst.map(({ buffer }) => buffer))
  for (const buffer of burst) buffers.recycle(buffer)
  const kept = () => {
    const all = Array.from({ length: 200 }, () => buffers.take())
    for (const buffer of [...all].reverse()) buffers.recycle(buffer)
    return all.filter(({ buffer }) => memories.has(buffer)).length
  }
  t.equal(kept(), 200, 'at first all of it is kept')
  for (let turn = 0; turn < 100_000; turn++) buffers.recycle(buffers.take())
  t.ok(kept() < 20, 'later little')
})

t.test('a writer that was asked for little grows to what comes, and gives its smaller buffers back', async t => {
  const first = buffers.take(100)
  buffers.recycle(first)
  const writer = new ByteWriter(100)
  const text = 'ünd so weiter '.repeat(20_000)
  for (let at = 0; at < text.length; at += 1_000) writer.text(text.slice(at, at + 1_000))
  writer.byte(10)
  t.equal(buffers.take(100).buffer, first.buffer)
  t.equal(writer.finish().toString('utf8', 0, writer.length), `${text}\n`)
})
