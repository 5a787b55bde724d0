// How much of a long test runs, and with which seed: a tenth in `npm test`, all of it in `npm run test:full`. A run is repeated with
// the seed that it printed: `npm test -- --seed N FILE`.
import fc from 'fast-check'

/** True in `npm run test:full`. */
export const full = process.env['PENSTOCK_TEST_FULL'] === '1'

/** Every random choice of the tests begins here; fixed, so that two runs of one commit do the same. */
export const seed = Number(process.env['PENSTOCK_TEST_SEED'] ?? 20_260_101)

/** A tenth of the rounds that the whole test has, rounded up; all of them in a full run. */
export function rounds(all: number): number {
  return full ? all : Math.ceil(all / 10)
}

/** Numbers from 0 to 1 (without 1) that a seed gives again; `stream` makes others of the same seed (mulberry32). */
export function randomOf(stream: number, from = seed): () => number {
  let state = (from + Math.imul(stream + 1, 0x9e37_79b9)) | 0
  return () => {
    state = (state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

fc.configureGlobal({ seed })

/** fast-check with the run's seed. A failing property prints its seed and its path, and shrinks. */
export { fc }
