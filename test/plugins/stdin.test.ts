// The stdin input beside its cases: how it stops, and what it does when its writer goes away.
import process from 'node:process'
import { PassThrough, type Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { Context, Log, Positions } from '../../core/plugin/interfaces.ts'
import type { JsonObject } from '../../core/plugin/json.ts'
import stdin from '../../plugins/inputs/stdin.ts'
import { newlineFramer } from '../../plugins/lib/framing/newline.ts'
import { recordsOf } from './framing-support.ts'

const NO_POSITIONS: Positions = { get: () => undefined, partitions: () => [] }

/** Reads `source` as the standard input; `stop` aborts, `texts` fills with what comes. */
function reading(t: Test, source: Readable) {
  const own = Object.getOwnPropertyDescriptor(process, 'stdin') as PropertyDescriptor
  Object.defineProperty(process, 'stdin', { value: source, configurable: true })
  t.teardown(() => Object.defineProperty(process, 'stdin', own))
  const warnings: (JsonObject & { message: string })[] = []
  const quiet = () => {}
  const log: Log = { debug: quiet, info: quiet, error: quiet, warn: (fields, message) => warnings.push({ ...fields, message }) }
  const codec = { framer: (meta: JsonObject) => newlineFramer(meta, undefined, 'skip'), decode: () => ({}) }
  const input = stdin.create({}, {} as never)
  const aborter = new AbortController()
  const texts: string[] = []
  const metas: unknown[] = []
  let onText = () => {}
  const done = (async () => {
    await input.open?.({ codec, maxEventBytes: 1000, log } as unknown as Context)
    for await (const chunk of input.read(NO_POSITIONS, aborter.signal)) {
      texts.push(...recordsOf(chunk).map(([, text]) => text))
      metas.push(chunk.meta)
      t.equal(chunk.position, undefined)
      onText()
    }
  })()
  /** Resolves when so many records were read. */
  const read = async (count: number) => {
    while (texts.length < count) {
      await new Promise<void>(resolve => {
        onText = resolve
      })
    }
  }
  return { done, read, texts, metas, warnings, stop: () => aborter.abort() }
}

t.test('gives what comes as it comes, and the last record at the end', async t => {
  const source = new PassThrough()
  const { done, read, texts, metas, warnings } = reading(t, source)
  source.write('one\ntw')
  await read(1)
  source.write('o\n')
  await read(2)
  source.end('three')
  await done
  t.strictSame(texts, ['one', 'two', 'three'])
  t.strictSame(metas[0], { path: '-' })
  t.strictSame(warnings, [])
})

t.test('stops while it waits, says what it leaves, and leaves the stream to the next one', async t => {
  const source = new PassThrough()
  const first = reading(t, source)
  source.write('one\ntw')
  await first.read(1)
  first.stop()
  await first.done
  t.match(first.warnings, [{ bytes: 2, message: /stopped inside a record/ }])
  t.notOk(source.destroyed)
  t.equal(source.listenerCount('readable') + source.listenerCount('error'), 0, 'no listener is left')
  t.ok(source.isPaused())
  const second = reading(t, source)
  source.end('next\n')
  await second.done
  t.strictSame(second.texts, ['next'])
})

t.test('a signal that was there before reads nothing', async t => {
  const source = new PassThrough()
  source.write('one\n')
  const { done, stop, texts } = reading(t, source)
  stop()
  await done
  t.strictSame(texts, [])
})

t.test('a stream that ended before is nothing to read', async t => {
  const source = new PassThrough()
  source.end()
  source.resume()
  await new Promise(resolve => source.once('close', resolve))
  const { done, texts } = reading(t, source)
  await done
  t.strictSame(texts, [])
})

t.test('a writer that goes away ends the input, with what it wrote', async t => {
  const source = new PassThrough()
  const { done, read, texts, warnings } = reading(t, source)
  source.write('one\ntwo')
  await read(1)
  source.destroy(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }))
  await done
  t.strictSame(texts, ['one', 'two'])
  t.match(warnings, [{ code: 'EPIPE' }])
})

t.test('any other failure is one', async t => {
  const source = new PassThrough()
  const { done, read } = reading(t, source)
  source.write('one\n')
  await read(1)
  source.destroy(Object.assign(new Error('cannot read'), { code: 'EIO' }))
  await t.rejects(done, { code: 'EIO' })
})
