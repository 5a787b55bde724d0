#!/usr/bin/env node
// The command `penstock`: switches Node's compile cache on, finds the verb, and turns what it returns or throws into an exit code.
import { mkdirSync } from 'node:fs'
import { enableCompileCache } from 'node:module'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

function cacheFolder(): string {
  const home = process.env.XDG_CACHE_HOME || (process.env.HOME ? join(homedir(), '.cache') : '')
  return home ? join(home, 'penstock') : join(tmpdir(), `penstock-${process.getuid?.() ?? 'cache'}`)
}

try {
  const folder = cacheFolder()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  enableCompileCache(folder)
  // Workers look for it here.
  process.env.NODE_COMPILE_CACHE ??= folder
} catch {
  // A home that cannot be written makes the start slower, nothing else.
}

const { main } = await import('./verbs.ts')
process.exitCode = await main(process.argv.slice(2))
