// Compiles the package into dist/: what `npm pack` ships.
import { spawnSync } from 'node:child_process'
import { chmod, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
await rm(`${root}/dist`, { recursive: true, force: true })
const { status } = spawnSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, '-p', `${root}/tsconfig.build.json`], {
  stdio: 'inherit',
})
if (status !== 0) process.exit(status ?? 1)
await chmod(`${root}/dist/core/cli/main.js`, 0o755)
