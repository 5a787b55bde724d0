// Finds the records of a chunk that end or hang their worker, so that they become dead letters and the rest goes on.
import { asError, errorCode, PenstockError } from '../plugin/errors.ts'
import type { Log } from '../plugin/interfaces.ts'
import type { Culprit, Job } from './packed.ts'
import type { Transformed } from './transformer.ts'

/** So many in one chunk are no accident of a record: the filter itself is broken, and the pipeline stops before it loses them all. */
const MOST_CULPRITS = 10

/**
 * Runs each record of the chunk alone, then the chunk without those that ended a worker.
 * @param cause what the chunk did to its workers before
 * @param attempt runs a job; rejects once it has ended so many workers
 * @throws `cause` when no record does it alone; PEN_WORKER when too many do
 */
export async function isolate(
  job: Job,
  cause: Error,
  attempt: (job: Job, lives: number) => Promise<Transformed>,
  log: Log,
): Promise<Transformed> {
  log.warn({ records: job.count, error: cause.message }, 'a chunk ended two workers; its events are tried one by one')
  const culprits: Culprit[] = []
  const at = new Int32Array(new SharedArrayBuffer(4))
  for (let record = 0; record < job.count; record++) {
    try {
      const { packed, recycle } = await attempt({ ...only(job, record), at }, 1)
      packed.outputs.forEach(recycle)
    } catch (thrown) {
      const error = asError(thrown)
      culprits.push({ record, step: at[0] as number, code: errorCode(error), error: error.message })
      if (culprits.length < MOST_CULPRITS) continue
      throw new PenstockError('PEN_WORKER', `${MOST_CULPRITS} events of one chunk ended their worker: ${error.message}`, {
        cause,
      })
    }
  }
  if (culprits.length === 0) throw cause
  return attempt({ ...job, culprits }, 1)
}

/** The job with one of its records. */
function only(job: Job, record: number): Job {
  const start = job.starts ? (job.starts[record] as number) : record === 0 ? 0 : (job.ends[record - 1] as number) + 1
  const { ids, ...rest } = job
  const id = ids?.get(record)
  return {
    ...{ ...rest, starts: Uint32Array.of(start), ends: Uint32Array.of(job.ends[record] as number), count: 1 },
    ...(id !== undefined && { ids: new Map([[0, id]]) }),
  }
}
