// What is measured: the engine of this checkout, and that of another revision, unpacked beside it.
import { execFile } from 'node:child_process'
import { cp, mkdir, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const root = fileURLToPath(new URL('../..', import.meta.url))
const run = promisify(execFile)

export interface Engine {
  /** In the table. */
  readonly name: string
  readonly root: string
  /** Where it keeps what it compiled. */
  readonly cache: string
}

/** This checkout as it is, with changes that are not committed. */
export function thisEngine(folder: string): Engine {
  return { name: 'here', root, cache: join(folder, 'cache-here') }
}

/**
 * The revision's files in a folder of their own, with the packages of this checkout. Not as a work tree of git: nothing is left in
 * the repository when this process is killed.
 */
export async function engineOf(revision: string, folder: string): Promise<Engine> {
  const { stdout } = await run('git', ['rev-parse', '--short', '--verify', `${revision}^{commit}`], { cwd: root })
  const name = stdout.trim()
  const own = join(folder, `at-${name}`)
  const archive = join(folder, 'revision.tar')
  await mkdir(own)
  await run('git', ['archive', '--format=tar', '--output', archive, name], { cwd: root })
  await run('tar', ['-xf', archive, '-C', own])
  await rm(archive)
  await symlink(join(root, 'node_modules'), join(own, 'node_modules'))
  // The benches themselves are those of this checkout: only what they measure differs.
  await rm(join(own, 'test/bench'), { recursive: true, force: true })
  await cp(join(root, 'test/bench'), join(own, 'test/bench'), { recursive: true })
  return { name, root: own, cache: join(folder, `cache-${name}`) }
}

/** `penstock ARGS` of an engine; its compile cache is its own, so that both are equally warm. */
export function penstock(engine: Engine, ...args: readonly string[]): { args: readonly string[]; env: NodeJS.ProcessEnv } {
  return {
    args: [join(engine.root, 'core/cli/main.ts'), ...args],
    env: { XDG_CACHE_HOME: engine.cache, NODE_COMPILE_CACHE: engine.cache, npm_lifecycle_event: undefined },
  }
}
