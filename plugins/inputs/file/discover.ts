// Finds the files that the paths mean. Own walk instead of fs.glob: that one leaves out what it cannot read without a word.
import type { BigIntStats, Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, matchesGlob, relative, resolve } from 'node:path'
import { errorCode } from '../../../core/plugin/errors.ts'
import type { Found } from './position.ts'

const STATS_AT_ONCE = 32
const STARVED = /\((EMFILE|ENFILE)\)/
const WILD = /[*?[{]|[+@!]\(/

/** What one look around found. */
export interface Listing {
  /** Each file once, in reading order. */
  readonly files: Found[]
  /** Path → why it cannot be read. */
  readonly problems: ReadonlyMap<string, string>
  /** Paths without wildcards that do not exist. */
  readonly missing: readonly string[]
  /** Paths with wildcards, as written, that match no file. */
  readonly unmatched: readonly string[]
  /** The process had no descriptor left to look into a folder. */
  readonly starved: boolean
  /** Where files were found, or may appear. */
  readonly folders: ReadonlySet<string>
}

export interface Finder {
  /** The paths without wildcards, absolute. */
  readonly named: readonly string[]
  list(): Promise<Listing>
  /** True when a path, were it there, would be one of the files. */
  matches(path: string): boolean
}

interface Pattern {
  readonly text: string
  /** Up to the first wildcard. */
  readonly base: string
  /** Segments from the first wildcard on; none for a plain path. */
  readonly wild: readonly string[]
}

/** Paths count from `folder`. An exclusion without a slash means names, else whole paths. */
export function createFinder(
  folder: string,
  paths: readonly string[],
  exclude: readonly string[],
  order: 'name' | 'mtime',
): Finder {
  const patterns = paths.map(text => parse(folder, text))

  const excluded = (path: string): boolean =>
    exclude.some(pattern => {
      if (!pattern.includes('/')) return matchesGlob(basename(path), pattern)
      return matchesGlob(isAbsolute(pattern) ? path : relative(folder, path), pattern)
    })

  return {
    named: patterns.filter(({ wild }) => wild.length === 0).map(({ base }) => base),

    matches(path) {
      if (excluded(path)) return false
      return patterns.some(
        ({ base, wild }) => path === base || (wild.length > 0 && matchesGlob(relative(base, path), wild.join('/'))),
      )
    },

    async list() {
      const problems = new Map<string, string>()
      const folders = new Set<string>()
      const missing: string[] = []
      const unmatched: string[] = []
      const files = new Map<string, Found>()
      for (const pattern of patterns) {
        const literal = pattern.wild.length === 0
        let candidates = literal ? [pattern.base] : await walk(pattern, problems, folders)
        if (literal) folders.add(dirname(pattern.base))
        // A name may hold what looks like a wildcard: app[1].log.
        else if (candidates.length === 0) candidates = [resolve(folder, pattern.text)]
        candidates = candidates.filter(path => !excluded(path))
        let matched = 0
        for (let at = 0; at < candidates.length; at += STATS_AT_ONCE) {
          const looks = candidates.slice(at, at + STATS_AT_ONCE).map(path => look(path, literal))
          for (const result of await Promise.all(looks)) {
            if ('absent' in result) {
              if (literal) missing.push(result.absent)
              continue
            }
            matched++
            if ('problem' in result) problems.set(result.path, result.problem)
            else files.set(result.path, result)
          }
        }
        if (!literal && matched === 0) unmatched.push(pattern.text)
      }
      const starved = problems.values().some(why => STARVED.test(why))
      return { files: inOrder([...files.values()], order), problems, missing, unmatched, starved, folders }
    },
  }
}

function parse(folder: string, text: string): Pattern {
  const segments = text.split('/')
  const first = segments.findIndex(segment => WILD.test(segment))
  if (first < 0) return { text, base: resolve(folder, text), wild: [] }
  // An absolute path's first segment is empty: the root.
  const fixed = segments.slice(0, first).join('/')
  return { text, base: resolve(folder, text.startsWith('/') ? `${fixed}/` : fixed), wild: segments.slice(first) }
}

/** All paths below `base` that match; folders that cannot be read become problems. */
async function walk({ base, wild }: Pattern, problems: Map<string, string>, folders: Set<string>): Promise<string[]> {
  const found: string[] = []
  const pattern = wild.join('/')
  // Braces or parentheses with a slash inside say nothing about the depth.
  const anyDepth = wild.some(segment => segment === '**') || /[{(][^})]*\/[^})]*[})]/.test(pattern)

  const enter = async (folder: string, depth: number): Promise<void> => {
    let entries: Dirent[]
    try {
      entries = await readdir(folder, { withFileTypes: true })
    } catch (error) {
      const code = errorCode(error as Error)
      if (code !== 'ENOENT' && code !== 'ENOTDIR') problems.set(folder, `the folder cannot be read (${code})`)
      return
    }
    folders.add(folder)
    for (const entry of entries) {
      const path = join(folder, entry.name)
      if (matchesGlob(relative(base, path), pattern)) found.push(path)
      const below = anyDepth
        ? !entry.name.startsWith('.')
        : depth < wild.length - 1 && matchesGlob(entry.name, wild[depth] as string)
      // A link to a folder is followed where the pattern has a place for it, and not by **, which might never end.
      if (below && (entry.isDirectory() || (entry.isSymbolicLink() && !anyDepth))) await enter(path, depth + 1)
    }
  }
  await enter(base, 0)
  return found
}

type Look = Found | { readonly path: string; readonly problem: string } | { readonly absent: string }

/** A path's file. `named`: it is troublesome when it is none. */
export async function look(path: string, named: boolean): Promise<Look> {
  let stats: BigIntStats
  try {
    stats = await stat(path, { bigint: true })
  } catch (error) {
    const code = errorCode(error as Error)
    return code === 'ENOENT' || code === 'ENOTDIR' ? { absent: path } : { path, problem: explain(code) }
  }
  if (stats.isFile()) return foundAs(path, stats)
  if (!named) return { absent: path }
  return {
    path,
    problem: stats.isDirectory() ? `it is a folder; write ${join(path, '*')} for the files in it` : 'it is no regular file',
  }
}

export function foundAs(path: string, stats: BigIntStats): Found {
  const { dev, ino, size, mtimeNs, birthtimeNs } = stats
  return { path, dev: String(dev), ino: String(ino), size: Number(size), modified: String(mtimeNs), born: String(birthtimeNs) }
}

/** An error's code in words. */
export function explain(code: string): string {
  if (code === 'EACCES' || code === 'EPERM') return `no permission to read it (${code}); let the user that runs Penstock read it`
  if (code === 'EMFILE' || code === 'ENFILE') return `too many files are open (${code}); raise the limit (ulimit -n, LimitNOFILE)`
  return `it cannot be read (${code})`
}

/** By name or by age, and each file once: a link to a file that is there too would be read twice. */
function inOrder(files: Found[], order: 'name' | 'mtime'): Found[] {
  const byName = (a: Found, b: Found) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)
  const byTime = (a: Found, b: Found) => {
    const [x, y] = [BigInt(a.modified), BigInt(b.modified)]
    return x < y ? -1 : x > y ? 1 : byName(a, b)
  }
  files.sort(order === 'name' ? byName : byTime)
  const seen = new Set<string>()
  return files.filter(({ dev, ino }) => {
    const key = `${dev}:${ino}`
    // Some file systems give no inode numbers.
    if (ino === '0' || !seen.has(key)) return seen.add(key)
    return false
  })
}
