// Disks of their own for tests: small ones that fill up, one that fails on command. They need root; who asks is told why not.
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Test } from 'tap'

const quiet = { stdio: 'pipe' } as const

function attempt(what: (t: Pick<Test, 'teardown'>) => unknown): string | false {
  const undo: (() => unknown)[] = []
  try {
    what({ teardown: ((fn: () => unknown) => void undo.unshift(fn)) as Test['teardown'] })
    return false
  } catch (error) {
    return `no such disk can be had here: ${(error as Error).message.split('\n')[0]}`
  } finally {
    for (const fn of undo) fn()
  }
}

/** Why no file system can be mounted from a file here; false when it can. */
export function whyNoLoop(): string | false {
  return attempt(t => loopDisk(t, 2))
}

/** Why no disk that fails on command can be had here; false when it can. */
export function whyNoFailingDisk(): string | false {
  return attempt(t => failingDisk(t, 16))
}

/** A disk of a test. */
export interface Disk {
  readonly path: string
  /** Unmounts it and mounts it again: what is read then comes from the device, not from memory. Nobody may have it open. */
  again(): void
}

/** An ext4 in a file, mounted until the test ends. Size in MiB. */
export function loopDisk(
  t: Pick<Test, 'teardown'>,
  size: number,
): Disk & {
  /** Makes it read-only, as the kernel does with a file system in which it finds an error; only `again` ends that. */
  turnReadOnly(): void
} {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-image-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const image = join(folder, 'image')
  writeFileSync(image, '')
  execFileSync('truncate', ['-s', `${size}M`, image])
  format(image)
  const disk = mounted(t, ['-o', 'loop,errors=remount-ro', image])
  return {
    ...disk,
    turnReadOnly() {
      const device = execFileSync('findmnt', ['-n', '-o', 'SOURCE', disk.path], { encoding: 'utf8' }).trim()
      writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'a test')
    },
  }
}

/**
 * An ext4 on compressed memory, mounted until the test ends. Writes fail when the memory is limited to less than it holds: an error
 * of the device itself, which programs see as EIO from fsync. Size in MiB.
 */
export function failingDisk(
  t: Pick<Test, 'teardown'>,
  size: number,
): Disk & {
  /** From now on every write that reaches the device fails (true), or none does (false). What was written before stays. */
  fail(now: boolean): void
} {
  const control = '/sys/class/zram-control'
  if (!existsSync(join(control, 'hot_add'))) throw new Error('the kernel has no zram')
  const id = readFileSync(join(control, 'hot_add'), 'utf8').trim()
  const set = (name: string, value: string) => writeFileSync(`/sys/block/zram${id}/${name}`, value)
  t.teardown(() => {
    set('reset', '1')
    writeFileSync(join(control, 'hot_remove'), id)
  })
  set('disksize', `${size}M`)
  format(`/dev/zram${id}`)
  return { ...mounted(t, [`/dev/zram${id}`]), fail: now => set('mem_limit', now ? '4096' : '0') }
}

/** Without a journal: its own errors would make the whole file system read-only. */
function format(device: string): void {
  execFileSync('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-m', '0', device], quiet)
}

function mounted(t: Pick<Test, 'teardown'>, what: readonly string[]): Disk {
  const path = mkdtempSync(join(tmpdir(), 'penstock-disk-'))
  const mount = () => execFileSync('mount', [...what, path], quiet)
  const unmount = () => execFileSync('umount', [path], quiet)
  t.teardown(() => rmSync(path, { recursive: true, force: true }))
  mount()
  t.teardown(unmount)
  return {
    path,
    again() {
      unmount()
      mount()
    },
  }
}

/** Fills a disk to its last byte, and leaves `kept` bytes of it. Removing the file that it gives makes room again. */
export function fill(disk: string, kept = 0): string {
  const filler = join(disk, 'filler')
  const file = openSync(filler, 'a')
  try {
    for (let bytes = 1 << 20; bytes >= 512; ) {
      try {
        if (room(disk) < kept + bytes) throw Object.assign(new Error(), { code: 'ENOSPC' })
        writeSync(file, Buffer.alloc(bytes, 'x'))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        bytes >>= 1
      }
    }
  } finally {
    closeSync(file)
  }
  return filler
}

/** Bytes that are free on a disk. */
export function room(disk: string): number {
  const { bavail, bsize } = statfsSync(disk)
  return bavail * bsize
}
