// A worker thread: builds the transform from the pipeline's plain data, and turns chunks' bytes into packed items.
import { enableCompileCache } from 'node:module'
import { parentPort } from 'node:worker_threads'
import { buffers } from '../plugin/buffers.ts'
import type { Plugin, PluginOf } from '../plugin/define.ts'
import { asError, errorCode } from '../plugin/errors.ts'
import type { Job, Packed, StepSpec, TransformSpec } from './packed.ts'
import type { TableImage } from './tables.ts'

export type ToWorker =
  /** The first message: what the transform is built from. Until it comes, the thread loads its modules. */
  | { readonly type: 'start'; readonly spec: TransformSpec; readonly images: readonly TableImage[] }
  | { readonly type: 'job'; readonly seq: number; readonly job: Job; readonly returned: readonly number[] }
  | { readonly type: 'table'; readonly key: string; readonly image: SharedArrayBuffer | undefined }
export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly code: string; readonly error: string }
  /** `lent`: for each packed output the id by which its buffer is given back. */
  | { readonly type: 'done'; readonly seq: number; readonly packed: Packed; readonly lent: readonly number[] }

enableCompileCache()
const port = parentPort
if (!port) throw new Error('worker.ts is started by the engine')
const say = (message: FromWorker) => port.postMessage(message)

const { buildTransform } = await import('./transform.ts')
const { Tables } = await import('./tables.ts')
port.once('message', (message: ToWorker) => {
  if (message.type !== 'start') return
  start(message.spec, message.images).catch(thrown => {
    const error = asError(thrown)
    say({ type: 'failed', code: errorCode(error), error: error.message })
    port.close()
  })
})

async function start(spec: TransformSpec, images: readonly TableImage[]): Promise<void> {
  const load = async (step: StepSpec) => ((await import(step.url)) as { default: Plugin }).default
  const tables = await Tables.fromImages(images, async step => ({
    plugin: (await load(step)) as PluginOf<'table'>,
    url: step.url,
  }))
  const transform = await buildTransform(spec, load, tables)

  /** Buffers that the main thread still looks into, by id: memory that comes back in a message is no longer the same object. */
  const lent = new Map<number, Uint8Array>()
  let ids = 0
  port?.on('message', (message: ToWorker) => {
    if (message.type === 'start') return
    if (message.type === 'table') {
      tables.swap(message.key, message.image)
      return
    }
    for (const id of message.returned) {
      const bytes = lent.get(id)
      lent.delete(id)
      if (bytes) buffers.recycle(bytes)
    }
    const { bytes } = message.job
    const packed = transform({ ...message.job, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) })
    const loans = packed.outputs.map(output => {
      lent.set(ids, output.bytes)
      return ids++
    })
    say({ type: 'done', seq: message.seq, packed, lent: loans })
  })
  say({ type: 'ready' })
}
