// The pool of buffers in shared memory, and the writer that grows through its sizes.
import t from 'tap'
import { buffers, POOLED_BYTES } from '../../core/plugin/buffers.ts'
import { ByteWriter } from '../../core/plugin/byte-writer.ts'

t.test('what is given back is handed out again, to one holder at a time', async t => {
  const first = buffers.take()
  t.equal(first.length, POOLED_BYTES)
  buffers.recycle(first.subarray(0, 10))
  buffers.recycle(first)
  t.equal(buffers.take(100).buffer, first.buffer, 'also when a view of it was given back')
  t.not(buffers.take(100).buffer, first.buffer, 'not twice, though it was given back twice')
  const huge = buffers.take(POOLED_BYTES + 1)
  t.equal(huge.length, POOLED_BYTES + 1)
  buffers.recycle(huge)
  t.not(buffers.take(POOLED_BYTES + 1).buffer, huge.buffer, 'what is larger than usual is not kept')
})

t.test('what is stored shares buffers, and these are used again once nobody holds a part of them', async t => {
  const text = (n: number) => Buffer.from(`${n},`.repeat(n % 2_000))
  const held = new Map<number, Buffer>()
  const memories = new Set<ArrayBufferLike>()
  for (let n = 0; n < 20_000; n++) {
    const stored = buffers.store(text(n))
    memories.add(stored.buffer)
    held.set(n, stored)
    // What waits comes to its end in another order.
    const done = n - ([0, 300, 30][n % 3] as number)
    const bytes = held.get(done)
    if (!bytes) continue
    if (!bytes.equals(text(done))) t.fail(`${done} was overwritten`)
    held.delete(done)
    buffers.recycle(bytes)
  }
  for (const [n, bytes] of held) if (!bytes.equals(text(n))) t.fail(`${n} was overwritten`)
  t.ok(memories.size < 12, `${memories.size} buffers were enough`)
  for (const bytes of held.values()) buffers.recycle(bytes)
  const [one, other] = [buffers.store(Buffer.from('one')), buffers.store(Buffer.from('other'))]
  buffers.recycle(one)
  buffers.recycle(one)
  buffers.store(Buffer.from('more and more'))
  t.equal(other.toString(), 'other', 'also when a part was given back twice')
  t.not(buffers.store(Buffer.alloc(0)).byteOffset, buffers.store(Buffer.alloc(0)).byteOffset, 'nothing has a place too')
  t.throws(() => buffers.store(Buffer.alloc(POOLED_BYTES + 1)), RangeError)
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

t.test('a writer grows to what comes, gives its smaller buffers back, and holds none for a few bytes', async t => {
  const first = buffers.take()
  buffers.recycle(first)
  const writer = new ByteWriter()
  const text = 'ünd so weiter '.repeat(60_000)
  for (let at = 0; at < text.length; at += 1_000) writer.text(text.slice(at, at + 1_000))
  writer.byte(10)
  t.equal(buffers.take().buffer, first.buffer)
  t.equal(writer.finish().toString(), `${text}\n`)

  buffers.recycle(first)
  const short = new ByteWriter()
  short.text('a few')
  t.equal(short.finish().toString(), 'a few')
  t.equal(buffers.take().buffer, first.buffer)
})
