// Preloaded (node --import) into a measured process: writes its CPU time and its memory, peak and course, when it ends.
import { writeFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const SAMPLE_MS = 250
const MB = 1 << 20

const file = process.env.PENSTOCK_BENCH_USAGE
if (file && isMainThread) {
  const course: number[] = []
  setInterval(() => course.push(process.memoryUsage.rss() / MB), SAMPLE_MS).unref()
  process.on('exit', () => {
    const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
    writeFileSync(file, JSON.stringify({ cpuMs: (userCPUTime + systemCPUTime) / 1000, rssMb: maxRSS / 1024, course }))
  })
}
