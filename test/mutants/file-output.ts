// Faults in the file output: bytes that are not there, not durable, or not whole.
import { type Mutant, mutantsOf } from './mutant.ts'

const OUTPUT = ['plugins/file-output-others', 'plugins/file-output', 'plugins/file-output-faults']

export const fileOutput: readonly Mutant[] = [
  ...mutantsOf('plugins/outputs/file/open-file.ts', OUTPUT, [
    {
      name: 'short-write-whole',
      breaks: 'A short write is taken for a whole one',
      find: 'done += bytesWritten',
      replace: 'done = bytes',
    },
    {
      name: 'short-write-repeats',
      breaks: 'After a short write the batch is written from its beginning',
      find: 'left = rest(left, bytesWritten)',
      replace: 'left = rest(slices, 0)',
    },
    {
      name: 'no-fdatasync',
      breaks: 'A batch is confirmed before it has reached the disk',
      find: 'fsync ? file.handle.datasync() : undefined',
      replace: 'undefined as Promise<void> | undefined',
    },
    {
      name: 'sync-failure-ignored',
      breaks: 'A sync that failed counts as done',
      find: 'fsync ? file.handle.datasync() : undefined',
      replace: 'fsync ? file.handle.datasync().catch(() => {}) : undefined',
    },
    {
      name: 'removed-file-confirmed',
      breaks: 'A batch is confirmed in a file that was removed meanwhile',
      find: 'if (stats.nlink === 0n)',
      replace: 'if (stats.nlink < 0n)',
    },
    {
      name: 'truncated-file-confirmed',
      breaks: 'A batch is confirmed in a file that was cut off meanwhile',
      find: 'if (size < file.size) throw',
      replace: 'if (size < 0) throw',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/mending.ts', OUTPUT, [
    {
      name: 'torn-line-stays',
      breaks: 'The torn line that a failed write or a killed process left is not cut off',
      find: 'await handle.truncate(whole)',
      replace: '',
    },
    {
      name: 'cuts-others',
      breaks: 'Lines that another program wrote are cut off',
      find: 'const changed = torn.write && (size > torn.write.after || size < torn.write.before)',
      replace: 'const changed = false',
    },
    {
      name: 'cuts-another-file',
      breaks: 'A file that has the name of a torn one is cut in its place',
      find: 'torn.ino !== String(stats.ino)',
      replace: "torn.ino === ''",
    },
    {
      name: 'recovery-forgotten',
      breaks: 'Files that were in use when the process was killed are not mended at the start',
      find: 'await this.#tryToMend(real)\n    }\n    this.#recorded = true',
      replace: '}\n    this.#torn.clear()\n    this.#recorded = true',
    },
    {
      name: 'joins-foreign-line',
      breaks: "A batch is appended to another program's unfinished line",
      find: 'if (await endsLine(handle, size)) return whole',
      replace: 'if (size >= 0) return whole',
    },
    {
      name: 'appends-behind-torn-member',
      breaks: 'A batch is appended behind a compressed member that is torn: nobody can read it',
      find: '=== size ? whole : undefined',
      replace: '>= 0 ? whole : undefined',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/file-set.ts', OUTPUT, [
    {
      name: 'one-file-taken-back',
      breaks: 'When one file of a batch fails, the others keep what they got, and get it again',
      find: 'marks.reverse()',
      replace: 'marks.slice(-1)',
    },
    {
      name: 'written-before-mended',
      breaks: 'A batch is written again although its first try could not be taken back',
      find: 'await this.#mending.settle()',
      replace: '',
    },
    {
      name: 'confirm-left-out',
      breaks: 'A batch is not confirmed at all',
      find: 'await Promise.all([...busy].map(path => this.#confirm(this.#files.get(path))))',
      replace: '',
    },
    {
      name: 'rotated-unsynced',
      breaks: 'A file is set aside before its last bytes have reached the disk',
      find: 'if (fsync) await file.handle.datasync()',
      replace: '',
    },
    {
      name: 'rotated-name-not-durable',
      breaks: 'After a power cut a rotated file may have its old name, or none',
      find: 'if (fsync) await syncFolder(this.#disk, dirname(to))',
      replace: '',
    },
    {
      name: 'batch-last-item-lost',
      breaks: 'The last item of a batch that fills a file is left out',
      find: 'from = to',
      replace: 'from = to + (to < items.length - 1 ? 1 : 0)',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/open-inside.ts', OUTPUT, [
    {
      name: 'new-file-not-durable',
      breaks: 'After a power cut a new file with confirmed lines is gone',
      find: 'if (fsync) await syncFolder(on, folder)',
      replace: '',
    },
    {
      name: 'place-not-asked',
      breaks: 'A folder that becomes a link and a folder again leads events outside',
      find: 'place !== undefined && !inside(realBase, place)',
      replace: 'false',
      tests: ['plugins/file-output-links'],
    },
  ]),
  ...mutantsOf('plugins/outputs/file/disk.ts', OUTPUT, [
    {
      name: 'new-folder-not-durable',
      breaks: 'After a power cut a new folder with confirmed files is gone',
      find: 'if (made && sync) await syncFolder(on, dirname(folder))',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/descriptors.ts', OUTPUT, [
    {
      name: 'moved-file-written',
      breaks: 'A file that logrotate moved away gets the new lines',
      find: 'there.ino === file.ino && ',
      replace: '',
    },
    {
      name: 'use-not-recorded',
      breaks: 'The store does not know which files may be torn after a crash',
      find: 'await this.#mending.record(this.all())',
      replace: '',
    },
    {
      name: 'two-writers',
      breaks: 'Two outputs write one file and cut back each other',
      find: 'if (writer) throw',
      replace: 'if (writer === this) throw',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/tail.ts', OUTPUT, [
    {
      name: 'hole-kept',
      breaks: 'Pages that a power cut left out stay in the middle of the file',
      find: 'return lastLineEnd(handle, base, hole)',
      replace: 'return lastLineEnd(handle, base, Math.max(hole, size))',
    },
    {
      name: 'cuts-a-whole-line',
      breaks: 'The last whole line is cut off with the torn one',
      find: 'return from + found + 1',
      replace: 'return from + found',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/members.ts', OUTPUT, [
    {
      name: 'torn-member-stays',
      breaks: 'A compressed member that lacks pages in its middle counts as whole',
      find: 'if (!sound) return at',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/lib/export/packing.ts', OUTPUT, [
    {
      name: 'member-checksum-wrong',
      breaks: 'Other programs report a checksum error in what was delivered',
      find: 'trailer.writeUInt32LE(crc32(plain), 0)',
      replace: 'trailer.writeUInt32LE(0, 0)',
    },
  ]),
  ...mutantsOf('plugins/outputs/file/rotation.ts', OUTPUT, [
    {
      name: 'rotation-overwrites',
      breaks: 'A rotated file takes the place of an earlier one',
      find: 'if (!free) continue',
      replace: '',
    },
  ]),
]
