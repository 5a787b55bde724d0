// Faults in the file input: what is read, from where it goes on, and which file is which.
import { type Mutant, mutantsOf } from './mutant.ts'

const INPUT = ['plugins/file-input', 'plugins/file-input-resume', 'plugins/file-input-faults', 'plugins/file-input-follow']
const FOLLOW = ['plugins/file-input-follow']

export const fileInput: readonly Mutant[] = [
  ...mutantsOf('plugins/inputs/file/reading.ts', INPUT, [
    {
      name: 'position-ahead',
      breaks: 'A chunk carries the position behind the one that comes after it',
      find: 'if (this.#held) yield this.#held',
      replace: 'if (this.#held) yield { ...this.#held, position: this.position() }',
    },
    {
      name: 'position-past-unfinished',
      breaks: 'The position lies behind a line whose end has not come yet',
      find: 'offset: this.#base + this.#framer.consumed,',
      replace: 'offset: this.#at,',
    },
    {
      name: 'held-chunk-lost',
      breaks: 'The chunk that is held back is dropped when the file has no more',
      find: 'if (held) yield held',
      replace: 'if (held && this.#at < 0) yield held',
    },
    {
      name: 'last-line-lost',
      breaks: 'A last line without its newline is dropped at the end of a file',
      find: "*finish(more: Pick<Position, 'seen' | 'gone'>): Generator<Chunk> {\n    yield* this.#end()",
      replace: "*finish(more: Pick<Position, 'seen' | 'gone'>): Generator<Chunk> {",
    },
    {
      name: 'header-forgotten',
      breaks: 'A table that is read on in its middle has lost its header',
      find: 'return codec.framer({ path: this.#file.path }, { maxEventBytes, state })',
      replace: 'return codec.framer({ path: this.#file.path }, { maxEventBytes })',
    },
    {
      name: 'gap-joined',
      breaks: 'Records on both sides of a damage are joined to one',
      find: 'if (gap) {',
      replace: 'if (gap && truncated) {',
    },
    {
      name: 'damage-untold',
      breaks: 'What could not be decoded is left out without a word',
      find: 'faults: [fault], ',
      replace: '',
    },
  ]),
  ...mutantsOf('plugins/inputs/file/content.ts', INPUT, [
    {
      name: 'head-unchecked',
      breaks: 'Another content under the old inode is read from the middle',
      find: 'if (!matchesHead(head, position.head)) return undefined',
      replace: '',
    },
    {
      name: 'tail-unchecked',
      breaks: 'A file that was written anew is read from the old place when its beginning is the same',
      find: 'if (!same(tail) || tail.length < length) return undefined',
      replace: 'if (tail.length < length) return undefined',
    },
    {
      name: 'rewrite-unseen',
      breaks: 'A followed file that was cut off and has grown beyond its old length is read from the old place',
      find: 'if (got < check || current.compare(before, 0, check, 0, check) !== 0)',
      replace: 'if (got < check)',
    },
    {
      name: 'skip-too-far',
      breaks: 'A compressed file is read on one byte too late',
      find: 'if (piece.length > left) return { rest: piece.subarray(left), tail, damages }',
      replace: 'if (piece.length > left) return { rest: piece.subarray(left + 1), tail, damages }',
    },
  ]),
  ...mutantsOf('plugins/inputs/file/position.ts', INPUT, [
    {
      name: 'birth-ignored',
      breaks: 'A new file that got the inode of an old one is taken for it',
      find: "position.born === born || position.born === '0' || born === '0'",
      replace: 'born.length > 0',
    },
    {
      name: 'inode-ignored',
      breaks: 'A file that was renamed is read from its beginning',
      find: 'this.#byInode.get(ino) ?? []',
      replace: '([] as string[])',
    },
    {
      name: 'grown-file-skipped',
      breaks: 'A file that has grown since it was read counts as read',
      find: 'seen?.size === file.size && seen.modified === file.modified',
      replace: 'seen !== undefined',
    },
  ]),
  ...mutantsOf('plugins/inputs/file/once.ts', INPUT, [
    {
      name: 'torn-by-growth',
      breaks: 'A line that is being written while its file is read is taken for whole',
      find: 'if (now.size > file.size) return yield* reading.flush()',
      replace: '',
    },
    {
      name: 'cut-off-untold',
      breaks: 'A file that was cut off while it was read counts as read to its end',
      find: 'if (now.size < file.size) throw new ContentChanged()',
      replace: '',
      tests: ['plugins/file-input-doubt'],
    },
    {
      name: 'end-not-finished',
      breaks: 'The last chunk of a file that has been read to its end is dropped',
      find: 'yield* reading.finish({ seen: { size: now.size, modified: now.modified } })',
      replace: '',
    },
    {
      name: 'forgets-in-trouble',
      breaks: 'Where something cannot be read, files that are only out of sight are forgotten and read again',
      find: 'if (unread() === 0) yield* forget(job)',
      replace: 'yield* forget(job)',
      tests: ['plugins/file-input-doubt'],
    },
  ]),
  ...mutantsOf('plugins/inputs/file/job.ts', INPUT, [
    {
      name: 'checkpoint-removed-early',
      breaks: 'The position of a file that is out of sight for a moment is forgotten',
      find: 'now - position.gone >= options.forget_after_ms',
      replace: 'now >= position.gone',
    },
    {
      name: 'starts-behind-beginning',
      breaks: 'A new file is read from its second byte',
      find: 'content: openContent(source, form, buffers, zeros)',
      replace: 'content: openContent(source, form, buffers, zeros + 1)',
    },
  ]),
  ...mutantsOf('plugins/inputs/file/follow.ts', FOLLOW, [
    {
      name: 'rotated-at-once',
      breaks: 'The unfinished last line of a renamed file counts as whole while it is still being written',
      find: 'if (!tail.compressed && now - Math.max(leaving ?? now, grown) < options.rotate_wait_ms) return',
      replace: '',
    },
    {
      name: 'truncation-keeps-identity',
      breaks: 'After a truncation the same bytes again are taken for those that were read',
      find: "reading.moved({ ...reading.file, ino: '' })\n      cutOff",
      replace: 'cutOff',
    },
    {
      name: 'cut-off-line-lost',
      breaks: 'The unfinished line of a file that was cut off is lost',
      find: 'cutOff.set(reading.partition, { reading, since: clock.monotonic() })',
      replace: '',
    },
    {
      name: 'no-polling',
      breaks: 'Where the system gives no hints nothing is read any more',
      find: 'if (now >= nextPoll) poll(now)',
      replace: 'if (now < 0) poll(now)',
    },
  ]),
  ...mutantsOf('plugins/inputs/file/followed.ts', FOLLOW, [
    {
      name: 'rotated-rest-unread',
      breaks: 'What was written to a file just before it was renamed is not read',
      find: 'tail.leaving = context.clock.monotonic()\n      tail.dirty = true',
      replace: 'await this.drop(tail)',
    },
    {
      name: 'copy-read-again',
      breaks: 'A rotated copy is read once more from its beginning',
      find: 'const started = await startKnown(this.#job, opened, partition, position, true)\n      if (!started) continue',
      replace: 'const started = undefined as Started | undefined\n      if (!started) continue',
    },
  ]),
  ...mutantsOf(
    'plugins/lib/bytes/gzip.ts',
    ['plugins/bytes-compression', 'plugins/file-input-faults'],
    [
      {
        name: 'members-after-first-lost',
        breaks: 'Of a gzip file only the first member is read',
        find: 'if (damage) yield damage\n      continue',
        replace: 'if (damage) yield damage\n      return',
      },
      {
        name: 'checksum-ignored',
        breaks: 'A gzip member that does not match its checksum is read without a word',
        find: 'trailer.readUInt32LE(0) !== crc',
        replace: 'crc < 0',
      },
    ],
  ),
]
