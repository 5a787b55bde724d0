// A file system on a disk whose power can be cut, and on what the cut has left. Everything is unmounted and detached when a test ends.
import { type ChildProcess, execFile, execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Cut, CutOrder } from './power-disk.ts'

const run = promisify(execFile)
/** Room for what the state keeps in reserve, and more than the least that it leaves free. */
const IMAGE_BYTES = 64 * 1024 * 1024
const DISK = join(import.meta.dirname, 'power-disk.ts')
const MKFS = ['-q', '-F', '-E', 'lazy_itable_init=1,lazy_journal_init=1,nodiscard', '-J', 'size=4']

interface Teardown {
  teardown(fn: () => unknown): void
}

export interface PowerDisk {
  /** Where the file system lies. */
  readonly mount: string
  /** Cuts the power at the so-manieth write from now on (0: at once); `to` gets what is left. Resolves when it is cut. */
  cut(order: CutOrder): Promise<Cut>
  /** Takes the disk out, after a cut or without one. */
  remove(): Promise<void>
}

/** Makes an empty file system in a file. */
export function makeImage(path: string): void {
  writeFileSync(path, '')
  execFileSync('truncate', ['-s', String(IMAGE_BYTES), path])
  execFileSync('mkfs.ext4', [...MKFS, path], { stdio: 'pipe' })
}

/** Puts an image on a disk with a volatile cache and mounts it; the image itself stays as it is. */
export async function powerDisk(t: Teardown, image: string, folder: string, options = 'defaults'): Promise<PowerDisk> {
  const file = join(folder, 'disk')
  const mount = join(folder, 'mount')
  writeFileSync(file, '')
  mkdirSync(mount, { recursive: true })
  // Not what the test runner would load into it.
  const disk = fork(DISK, [image, file], { execArgv: [], env: { PATH: process.env['PATH'] } })
  t.teardown(() => disk.kill('SIGKILL'))
  const [said] = (await once(disk, 'message')) as [string]
  if (said !== 'ready') throw new Error(said)
  const { stdout } = await run('losetup', ['--find', '--show', file])
  const loop = stdout.trim()
  const takeOut = guard(`umount -l "$1"; losetup -d "$2"; umount -l "$3"`, mount, loop, file)
  const remove = async () => {
    await takeOut()
    disk.kill('SIGKILL')
  }
  t.teardown(remove)
  await run('mount', ['-o', options, loop, mount])
  return { mount, cut: order => cutOf(disk, order), remove }
}

/** A shell that undoes what was set up: when the returned function is called, or when this process is gone, however that came. */
function guard(script: string, ...values: readonly string[]): () => Promise<void> {
  const shell = spawn('sh', ['-c', `cat > /dev/null; ${script}`, 'sh', ...values], { stdio: ['pipe', 'ignore', 'ignore'] })
  const over = once(shell, 'close')
  return async () => {
    shell.stdin.end()
    await over
  }
}

async function cutOf(disk: ChildProcess, order: CutOrder): Promise<Cut> {
  const told = once(disk, 'message')
  disk.send(order)
  return ((await told) as [Cut])[0]
}

/**
 * An image on a plain loop device, copied while it is in use: what the computer had not written to the disk yet is not in the copy. Who
 * works on it has to be stopped before: while it goes on the copy would mix what no disk ever held at one time.
 */
export async function plainDisk(t: Teardown, image: string, folder: string, options = 'defaults'): Promise<PowerDisk> {
  const mount = join(folder, 'mount')
  mkdirSync(mount, { recursive: true })
  const remove = guard('umount -l "$1"', mount)
  t.teardown(remove)
  await run('mount', ['-o', `loop,${options}`, image, mount])
  const nothing: Cut = { flushes: 0, writes: 0, cached: 0, lost: 0, torn: 0, atOnce: true }
  return { mount, remove, cut: ({ to }) => run('cp', ['--sparse=always', image, to]).then(() => nothing) }
}

/** Why a disk of that kind cannot be made here; false when it can. */
export async function whyNoDisk(kind: typeof powerDisk): Promise<string | false> {
  if (process.platform !== 'linux') return 'needs Linux: loop devices and ext4'
  const folder = mkdtempSync(join(tmpdir(), 'penstock-power-'))
  try {
    const image = join(folder, 'image')
    makeImage(image)
    await (await kind({ teardown() {} }, image, folder)).remove()
    return false
  } catch (error) {
    return `needs root, mkfs.ext4 and loop devices, the one with a cache FUSE as well: ${(error as Error).message.split('\n')[0]}`
  } finally {
    rmSync(folder, { recursive: true })
  }
}
