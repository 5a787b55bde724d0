// Entry of the store's thread.
import { enableCompileCache } from 'node:module'
import { parentPort } from 'node:worker_threads'
import type { StoreData } from './protocol.ts'

// Only into the folder that the program chose: Node's own choice is one that other users may share.
if (process.env['NODE_COMPILE_CACHE']) enableCompileCache()

// Not imported above: what comes before the cache is on would be compiled anew at every start.
const { serve } = await import('./serve.ts')
const port = parentPort
port?.once('message', (data: StoreData) => serve(port, data))
