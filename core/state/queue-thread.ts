// Entry of a disk queue's thread.
import { enableCompileCache } from 'node:module'
import { parentPort } from 'node:worker_threads'
import type { QueueData } from './protocol.ts'

// As in store-thread.ts.
if (process.env['NODE_COMPILE_CACHE']) enableCompileCache()

const { serveQueue } = await import('./queue-serve.ts')
const port = parentPort
port?.once('message', (data: QueueData) => serveQueue(port, data))
