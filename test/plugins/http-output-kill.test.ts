// The outputs over a network with the program killed by kill -9 and the destination ended at random: nothing is lost.
import t, { type Test } from 'tap'
import { full, randomOf, rounds } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'
import { destination, pipelineFolder, type Running, recordsOf, runIn } from './http-output-support.ts'
import { hec, TOKEN } from './splunk-hec-support.ts'
import { counted, receiver } from './syslog-output-support.ts'

/** How often each of the two is ended. */
const ENDS = rounds(30)
const COUNT = full ? 100_000 : 10_000
const BATCH = 'batch: { max_events: 50, max_ms: 20 }, retry: { min_ms: 5, max_ms: 50 }'
const MOMENTS = ['before storing', 'after storing', 'after the answer'] as const

t.setTimeout(900_000)

interface Target {
  /** The step, as YAML. */
  readonly output: string
  ids(): ReadonlySet<string>
  die(): Promise<void>
  back(): Promise<void>
}

/** What a target does with each request: asks whether it is the one, and when in it. */
type Ask = () => (typeof MOMENTS)[number] | undefined

async function httpTarget(t: Test, ask: Ask, now: () => void): Promise<Target> {
  const ids = new Set<string>()
  const { url, die, back } = await destination(t, ({ body }, response) => {
    const moment = ask()
    if (moment === 'before storing') return now()
    for (const line of body.trim().split('\n')) ids.add(JSON.parse(line).event.id)
    if (moment === 'after storing') return now()
    response.end()
    if (moment) now()
  })
  return { output: `{ type: http, url: '${url}', parallel: 2, ${BATCH} }`, ids: () => ids, die, back }
}

async function splunkTarget(t: Test, ask: Ask, now: () => void): Promise<Target> {
  const splunkd = await hec(t)
  splunkd.careless = true
  splunkd.lateness = 1
  splunkd.interfere = ({ url }) => {
    // A question for an ack is a moment, too.
    const moment = ask()
    if (!moment) return undefined
    now()
    return moment === 'after storing' && url.startsWith('/services/collector/event') ? undefined : { status: -1, body: '' }
  }
  const options = `token: ${TOKEN}, ack_poll_ms: 10, ack_timeout_ms: 1000, parallel: 3`
  return {
    output: `{ type: splunk_hec, url: '${splunkd.url}', ${options}, ${BATCH} }`,
    ids: () => new Set(splunkd.indexed.keys()),
    die: splunkd.crash,
    back: splunkd.back,
  }
}

/** Its receiver ends as a program does that is told to stop: what has come to it is read. */
async function syslogTarget(t: Test, ask: Ask, now: () => void): Promise<Target> {
  const target = await receiver(t, () => {
    if (ask()) now()
  })
  return {
    output: `{ type: syslog, host: localhost, port: ${target.port}, transport: tcp, confirm_ms: 20, ${BATCH} }`,
    ids: () =>
      new Set(
        target.texts.flatMap(text => counted(text)).map(line => JSON.parse(line.slice(line.indexOf('{'))).event.id as string),
      ),
    async die() {
      target.server.close()
      const ended = target.sockets.map(
        socket => new Promise(resolve => (socket.destroyed ? resolve(0) : socket.once('close', resolve))),
      )
      for (const socket of target.sockets) socket.end()
      await Promise.all(ended)
    },
    back: () => target.listen(),
  }
}

const TARGETS = { http: httpTarget, splunk_hec: splunkTarget, syslog: syslogTarget }

for (const [index, [name, target]] of Object.entries(TARGETS).entries()) {
  t.test(`rows 4, 57: ${name}: the program and its destination are ended ${ENDS} times each, and nothing is lost`, async t => {
    const random = randomOf(500 + index)
    let left = Number.POSITIVE_INFINITY
    let moment: (typeof MOMENTS)[number] = 'before storing'
    let reached = () => {}
    const { output, ids, die, back } = await target(
      t,
      () => (--left === 0 ? moment : undefined),
      () => reached(),
    )
    const folder = pipelineFolder(t, recordsOf(COUNT, 300), output)
    let life: Running | undefined
    for (let round = 0; round < 2 * ENDS; round++) {
      const running: Running = life ?? runIn(t, folder)
      life = running
      moment = MOMENTS[Math.floor(random() * 3)] as (typeof MOMENTS)[number]
      left = 1 + Math.floor(random() * 15)
      const now = new Promise<'now'>(resolve => {
        reached = () => resolve('now')
      })
      const what = await Promise.race([now, running.ended])
      if (what !== 'now') return t.fail(`round ${round}: it ended with ${what.code}: ${what.stderr}`)
      if (round % 2 === 0) {
        running.kill()
        t.equal((await running.ended).signal, 'SIGKILL')
        life = undefined
      } else {
        await die()
        await back()
      }
    }
    left = Number.POSITIVE_INFINITY
    const { code, stderr } = await (life ?? runIn(t, folder)).ended
    t.equal(code, 0, stderr)
    await until(
      () => ids().size === COUNT,
      () => `${ids().size} of ${COUNT}: ${stderr}`,
      { ms: 10_000, every: 200 },
    ).catch(error => t.fail(error.message))
    t.equal(ids().size, COUNT, 'every event is there')
    t.notMatch(stderr, /dead letter/i)
  })
}
