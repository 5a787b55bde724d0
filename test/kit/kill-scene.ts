// A folder in which the program is killed again and again: a pipeline from files to files, records that a ledger knows, and the checks
// after each kill and at the end.
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import {
  balance,
  type Ended,
  endWith,
  filesOf,
  type Life,
  leftIn,
  linesOf,
  listedLetters,
  live,
  storedIn,
  textOf,
} from './kill-run.ts'
import { Ledger, type Output, STAGE, type Totals } from './ledger.ts'
import { until } from './until.ts'

export type Compression = 'none' | 'gzip' | 'zstd'
/** Endings of the files that `logins` writes. */
export const ENDINGS: Readonly<Record<Compression, string>> = { none: '', gzip: '.gz', zstd: '.zst' }

export interface SceneOptions {
  readonly random: () => number
  /** Of the output `logins`. */
  readonly compression?: Compression
  readonly files?: number
  /** Where the program works: its state and its outputs; by default the folder with the pipeline and its sources. */
  readonly work?: string
  /** Other steps and options than those below. */
  readonly pipeline?: object
  /** Dead letters are sent to `logins` again. */
  readonly replays?: boolean
  /** What the outputs have got, where that is not in files. */
  readonly lines?: () => Record<Output, string[]>
}

/** A note of the preload: a point that was passed, or what was done there. */
export interface Note {
  readonly point?: string
  readonly n?: number
  readonly killed?: string
  readonly killing?: string
  /** So many bytes of a write to `path` were written before the kill. */
  readonly half?: number
  readonly path?: string
  /** What was done to files and folders: made, renamed, made durable or cut to a size. */
  readonly made?: string
  readonly moving?: readonly [from: string, to: string]
  readonly moved?: readonly [from: string, to: string]
  readonly synced?: string
  readonly cut?: string
  readonly size?: number
}

export class Scene {
  readonly folder: string
  readonly work: string
  readonly ledger: Ledger
  readonly #files: number
  readonly #random: () => number
  readonly #trace: string
  readonly #lines: SceneOptions['lines']

  constructor(folder: string, options: SceneOptions) {
    const { random, files = 6, work = folder, replays } = options
    this.folder = folder
    this.work = work
    this.ledger = new Ledger(random, replays)
    this.#files = files
    this.#random = random
    this.#trace = join(folder, 'trace')
    this.#lines = options.lines
    mkdirSync(join(folder, 'in'), { recursive: true })
    this.#write('once.yaml', options, {})
    this.#write('follow.yaml', options, { follow: true, discover_interval_ms: 50, poll_interval_ms: 10 })
  }

  #write(name: string, { compression = 'gzip', pipeline }: SceneOptions, reading: object): void {
    const batch = { max_events: 20, max_ms: 5 }
    const text = JSON.stringify({
      name: 'killed',
      in_flight_bytes: 20_000,
      commit_interval_ms: 5,
      ...(name === 'follow.yaml' && { http: { port: 0 } }),
      inputs: [{ type: 'file', paths: ['in/*.ndjson'], ...reading }],
      filters: [{ type: 'set', fields: STAGE }, { type: 'dedupe' }],
      outputs: [
        { type: 'file', id: 'all', path: 'out/all.ndjson', rotate_bytes: 8000, batch },
        {
          ...{ type: 'file', id: 'logins', when: 'kind == "login"', batch },
          ...{ path: `out/logins/%{place}.ndjson${ENDINGS[compression]}`, compression, rotate_bytes: 1024 },
        },
      ],
      ...pipeline,
    })
    writeFileSync(join(this.folder, name), text)
  }

  /** Adds records to every source. */
  more(count: number): void {
    for (let file = 0; file < this.#files; file++) this.add(file, count)
  }

  add(file: number, count: number): void {
    const source = `in/${file}.ndjson`
    appendFileSync(join(this.folder, source), this.ledger.produce(source, count))
  }

  /** Writes records to the sources until it is stopped, each time up to some byte in the middle of one: its rest comes later. */
  write(): () => void {
    let owed: { readonly path: string; readonly bytes: Buffer } | undefined
    const pay = () => {
      if (owed) appendFileSync(owed.path, owed.bytes)
      owed = undefined
    }
    const timer = setInterval(() => {
      pay()
      const source = `in/${Math.floor(this.#random() * this.#files)}.ndjson`
      const path = join(this.folder, source)
      const bytes = Buffer.from(this.ledger.produce(source, 1 + Math.floor(this.#random() * 4)))
      const cut = Math.floor(this.#random() * bytes.length)
      appendFileSync(path, bytes.subarray(0, cut))
      owed = { path, bytes: bytes.subarray(cut) }
    }, 5)
    return () => {
      clearInterval(timer)
      pay()
    }
  }

  /**
   * Starts the program with the pipeline `once` (ends when all sources are read), `follow`, or one that a test has put there. How many
   * workers it has differs from start to start.
   */
  start(t: Test, how: string, watch?: { readonly at?: string; readonly dice?: number }): Life {
    rmSync(this.#trace, { force: true })
    const workers = [0, 0, 1, 2][Math.floor(this.#random() * 4)]
    const args = ['run', join(this.folder, `${how}.yaml`), '--workers', String(workers)]
    const quiet = ['--log-format', 'json', '--no-progress', '--no-summary']
    const trace = this.#trace
    return endWith(t, live({ folder: this.work, args: [...args, ...quiet], ...(watch && { watch: { trace, ...watch } }) }))
  }

  /** What the program of the last watched start has passed. */
  notes(): Note[] {
    if (!existsSync(this.#trace)) return []
    const text = readFileSync(this.#trace, 'utf8')
    // The program may be writing.
    return linesOf(text.slice(0, text.lastIndexOf('\n') + 1)).map(line => JSON.parse(line) as Note)
  }

  /** The lines of both outputs. `torn`: the program may be writing, or have been killed: the files' ends may be half written. */
  lines(torn: boolean): Record<Output, string[]> {
    if (this.#lines) return this.#lines()
    const of = (folder: string, begin: string): string[] => {
      const files = () => filesOf(join(this.work, folder), begin).sort()
      const paths = files()
      try {
        const lines = paths.flatMap(path => linesOf(textOf(path, torn)))
        if (files().join() === paths.join()) return lines
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
      // Files were rotated meanwhile.
      return of(folder, begin)
    }
    return { all: of('out', 'all'), logins: of('out/logins', '') }
  }

  /** After a kill: what lies before the stored positions is settled. Gives the sentences that do not hold. */
  afterKill(): string[] {
    const { positions, letters } = leftIn(this.folder, join(this.work, 'state'))
    return this.ledger.settled(positions, this.ledger.seen(this.lines(true), letters))
  }

  /** Bytes of all sources that are stored as read. */
  stored(): number {
    const { positions } = storedIn(this.folder, join(this.work, 'state'))
    return [...positions.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  /** A life without a kill, to the end of the sources: everything is there, what came after the last kill too. */
  async complete(t: Test): Promise<Ended> {
    this.more(2)
    const ended = await this.start(t, 'once').ended
    t.equal(ended.code, 0, ended.stderr)
    const { letters } = storedIn(this.folder, join(this.work, 'state'))
    t.same(this.ledger.audit(this.ledger.seen(this.lines(false), letters)), [], 'nothing is lost, nothing invented, nothing torn')
    return ended
  }

  /** The last life: everything arrives, then a fresh event; the counters balance, and no file holds half a line. */
  async finish(t: Test): Promise<Ended> {
    const { ledger } = this
    const life = this.start(t, 'follow')
    let wrong: string[] = []
    const done = () => {
      const { letters } = storedIn(this.folder, join(this.work, 'state'))
      wrong = ledger.audit(ledger.seen(this.lines(true), letters))
      return wrong.length === 0
    }
    const why = () => `${wrong.length} sentences: ${wrong.slice(0, 5).join('\n')}\n${life.stderr()}`
    await until(done, why)
    const before = this.lines(true).all.length
    this.more(1)
    await until(done, () => `a fresh event does not get through: ${why()}`)
    t.ok(this.lines(true).all.length > before, 'a fresh event got through')
    const port = await until(() => /"port":(\d+)/.exec(life.stderr())?.[1], life.stderr)
    const counters = await until(
      async () => {
        const now = await balance(Number(port))
        return now.inFlight === 0 && now
      },
      () => 'events stay in flight',
    )
    t.same(counters.wrong, [], 'the counters of the last life balance')
    life.child.kill('SIGTERM')
    const ended = await life.ended
    t.equal(ended.code, 0, ended.stderr)
    const seen = ledger.seen(this.lines(false), await listedLetters(this.work))
    t.same(ledger.audit(seen), [], 'nothing is lost, nothing invented, nothing torn')
    return ended
  }

  /** How often everything came so far. */
  totals(): Totals {
    const { letters } = storedIn(this.folder, join(this.work, 'state'))
    return this.ledger.totals(this.ledger.seen(this.lines(true), letters))
  }
}

/** The totals of several ledgers as one line, for a test to print. */
export function told(totals: readonly Totals[]): string {
  const sum = (of: keyof Totals) => totals.reduce((all, one) => all + one[of], 0)
  return `${sum('produced')} produced, ${sum('delivered')} delivered, ${sum('repeated')} repeated, ${sum('buried')} dead letters, 0 lost`
}
