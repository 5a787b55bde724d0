// Faults in what makes a position move: acks, the settled prefix, commits, the end of a pipeline.
import { type Mutant, mutantsOf } from './mutant.ts'

const FLOW = ['core/settling', 'core/pipeline']

export const settling: readonly Mutant[] = [
  ...mutantsOf('core/flow/ack.ts', FLOW, [
    {
      name: 'ack-one-short',
      breaks: 'A chunk is settled while one of its holders is still at work',
      find: 'if (--this.#holds > 0) return',
      replace: 'if (--this.#holds > 1) return',
    },
    {
      name: 'guard-twice',
      breaks: 'A gate that releases its hold twice takes the hold of another holder',
      find: 'if (held) {',
      replace: 'if (this.#settled) {',
    },
    {
      name: 'prefix-off-by-one',
      breaks: 'A position moves over one chunk that is not settled',
      find: 'while (chunks[count]?.settled) count++',
      replace: 'while (chunks[count]?.settled || chunks[count + 1]?.settled) count++',
    },
    {
      name: 'prefix-none',
      breaks: 'Positions are stored in the order in which chunks settle, not in that of their source',
      find: 'chunk.settled = true',
      replace: 'chunk.settled = true\n    if (chunk.settled) return [chunk]',
    },
    {
      name: 'prefix-forgets-rest',
      breaks: 'When the first chunks settle, those behind them are forgotten and their position is never stored',
      find: 'if (count === chunks.length) {',
      replace: 'if (count > 0) {',
    },
  ]),
  ...mutantsOf('core/flow/pipeline.ts', FLOW, [
    {
      name: 'release-forgotten',
      breaks: "The fan-out's own hold is never released: nothing is ever settled",
      find: 'tracked.ack.release()',
      replace: '',
    },
    {
      name: 'hold-forgotten',
      breaks: 'A chunk enters without a hold, and the first delivered item settles it',
      find: '    ack.hold()\n',
      replace: '',
    },
    {
      name: 'chunk-recycled-early',
      breaks: "A chunk's buffer is used again before the chunk is settled: dead letters get another record's bytes",
      find: 'tracked.ack.release()',
      replace: 'buffers.recycle(tracked.chunk.bytes)\n          tracked.ack.release()',
      tests: ['core/settling', 'core/invariants'],
    },
    {
      name: 'cap-ignored',
      breaks: 'The cap on unsettled work holds nobody back',
      find: 'if (!(await this.#inFlight.admit(held))) return false',
      replace: 'this.#inFlight.add(held)',
    },
    {
      name: 'cap-never-freed',
      breaks: 'Settled work counts against the cap for ever, and the pipeline stands still',
      find: 'for (const { held } of prefix) this.#inFlight.remove(held)',
      replace: '',
    },
    {
      name: 'uncommitted-unbounded',
      breaks: 'With a store that does not answer, the inputs go on and what is settled fills the memory',
      find: '> MOST_UNCOMMITTED',
      replace: '> Infinity',
    },
    {
      name: 'sink-swallows',
      breaks: 'A failure to write dead letters is swallowed where chunks are handed over',
      find: '}, done)',
      replace: '}, () => done())',
    },
    {
      name: 'end-before-outputs',
      breaks: 'The pipeline ends before its outputs have written what they have',
      find: 'finished(stream.stream)',
      replace: 'stream.writable',
    },
    {
      name: 'end-before-commit',
      breaks: 'The pipeline ends before the last positions are stored',
      find: 'await Promise.race([committer.flush(), givenUp])',
      replace: '',
    },
    {
      name: 'grace-ignored',
      breaks: 'A stop waits for a dead output for ever',
      find: 'this.#clock.after(this.config.grace_ms, () => this.#delivering.abort())',
      replace: 'this.#clock.after(this.config.grace_ms, () => {})',
    },
    {
      name: 'stuck-source',
      breaks: 'A stop waits for a source that does not answer for ever',
      find: 'Promise.race([Promise.all(pumps), givenUp])',
      replace: 'Promise.all(pumps)',
    },
    {
      name: 'output-failure-swallowed',
      breaks: 'An output that must stop the pipeline does not',
      find: '} else this.fail(error)',
      replace: '}',
    },
  ]),
  ...mutantsOf('core/flow/tracked-chunk.ts', FLOW, [
    {
      name: 'partition-lost',
      breaks: 'All chunks of an input share one partition: a position is stored under the wrong name',
      find: "this.partition = chunk.partition ?? ''",
      replace: "this.partition = ''",
    },
  ]),
  ...mutantsOf('core/flow/committer.ts', FLOW, [
    {
      name: 'settled-before-commit',
      breaks: 'An input is told that a chunk is settled before that is stored',
      find: 'const changes = this.#changes(chunks)',
      replace:
        'for (const chunk of chunks) await inputs[chunk.input]?.input.settled?.(chunk.partition, chunk.position, chunk.last)\n    const changes = this.#changes(chunks)',
    },
    {
      name: 'gates-before-commit',
      breaks:
        'A gate is told of a delivery before that is stored, and acknowledges repeats of an event that a crash would bring again',
      find: 'const changes = this.#changes(chunks)',
      replace: 'this.#release(chunks)\n    const changes = this.#changes(chunks)',
    },
    {
      name: 'gates-never-told',
      breaks: 'Repeats of a delivered event wait for ever',
      find: '    this.#release(chunks)\n',
      replace: '',
    },
    {
      name: 'rows-not-committed',
      breaks: "An input's rows are left out of the transaction that settles the chunk",
      find: 'of chunk.chunk.rows ?? []',
      replace: 'of [] as [string, Json][]',
    },
    {
      name: 'keys-not-committed',
      breaks: 'Keys of delivered events are not stored: after a restart repeats pass',
      find: 'for (const [key, value] of gate.keep(keys))',
      replace: 'gate.keep(keys)\n      for (const [key, value] of [] as [string, Json][])',
    },
    {
      name: 'dead-keys-kept',
      breaks: 'The key of an event that became a dead letter is kept: the event never passes again',
      find: 'if (!chunk.failed.has(owner)) kept[gate]?.push(key)',
      replace: 'kept[gate]?.push(key)',
    },
    {
      name: 'commit-failure-ignored',
      breaks: 'A commit that failed counts as stored',
      find: 'if (!PASSING.has(errorCode(error))) {',
      replace: 'if (!PASSING.has(errorCode(error))) {\n          break',
    },
    {
      name: 'full-disk-is-fatal',
      breaks: 'A full disk ends the pipeline instead of holding it back',
      find: "'ENOSPC', ",
      replace: '',
    },
    {
      name: 'commit-given-up',
      breaks: 'After a full disk the positions of that moment are never stored',
      find: 'await clock.sleep(RETRY_MS)',
      replace: 'return',
    },
    {
      name: 'ended-partition-kept',
      breaks: 'The position of a partition that has ended is kept for ever',
      find: 'last ? null : (position as Json)',
      replace: 'position as Json',
    },
    {
      name: 'position-first',
      breaks: 'Of the chunks of one commit the first position is stored, and the others come again',
      find: 'for (const chunk of chunks) {\n      const id',
      replace: 'for (const chunk of chunks.toReversed()) {\n      const id',
    },
    {
      name: 'flush-does-not-wait',
      breaks: 'The last commit is not waited for',
      find: 'while (this.#running) await this.#running',
      replace: '',
    },
    {
      name: 'replayed-letter-kept',
      breaks: 'A dead letter that was replayed and delivered stays, and is sent again at each start',
      find: 'if (letters.length > 0) await store.letters.remove({ ids: letters })',
      replace: '',
    },
  ]),
  ...mutantsOf('core/flow/replay.ts', FLOW, [
    {
      name: 'replay-cut-record',
      breaks: 'Of a dead letter that holds only the beginning of its record, that beginning is delivered as an event',
      find: 'letter.bytes.length < letter.length',
      replace: 'letter.bytes.length > letter.length',
    },
    {
      name: 'replay-again-and-again',
      breaks: 'A dead letter that is under way is sent once more with every look for new marks',
      find: 'if (this.#seen.has(letter.id)) continue',
      replace: '',
    },
    {
      name: 'replay-to-all',
      breaks: 'A replayed dead letter of one output is delivered once more to those that had it',
      find: "letter.stage === 'output' ? outputs.indexOf(letter.step) : -1",
      replace: '-1',
    },
  ]),
]
