// kill -9 from inside the server that an output delivers to: before it stores, after it stored, after it answered. Started again and
// again, the program delivers everything, repeats no more than was in flight, and its counters balance.
import { join } from 'node:path'
import t from 'tap'
import { root } from '../kit/cases.ts'
import { balance, leftIn, type Stored, storedIn } from '../kit/kill-run.ts'
import { Scene, told } from '../kit/kill-scene.ts'
import { ledgerServer, MOMENTS } from '../kit/kill-server.ts'
import { OUTPUTS } from '../kit/ledger.ts'
import { full, randomOf, rounds, seed } from '../kit/rounds.ts'
import { until } from '../kit/until.ts'

const CAMPAIGNS = full ? 2 : 1
const KILLS = Math.ceil(rounds(60) / CAMPAIGNS)
/** Larger than any chunk of these tests: the records that are added to one source at a time. Bytes. */
const IN_FLIGHT = 20_000

t.jobs = CAMPAIGNS
t.setTimeout(600_000)

/** A pipeline that delivers to the server; `when` says what `logins` takes. */
function pipelineTo(url: string, when = 'kind == "login"') {
  return {
    in_flight_bytes: IN_FLIGHT,
    outputs: OUTPUTS.map(id => ({
      type: join(root, 'test/kit/kill-output.ts'),
      ...{ id, url: `${url}/${id}`, retry: { min_ms: 1, max_ms: 5 }, batch: { max_events: 10, max_ms: 5 } },
      ...(id === 'logins' && { when }),
    })),
  }
}

for (let campaign = 0; campaign < CAMPAIGNS; campaign++) {
  t.test(`row 4: killed ${KILLS} times in a request (${campaign}): nothing is lost, what was in flight is repeated`, async t => {
    const random = randomOf(100 + campaign)
    const server = await ledgerServer()
    t.teardown(() => server.close())
    const scene = new Scene(t.testdir({}), { random, pipeline: pipelineTo(server.url), lines: () => server.lines })
    const { ledger, folder } = scene
    const killed = { 'before storing': 0, 'after storing': 0, 'after the answer': 0 }
    let repeated = 0
    for (let kill = 0; kill < KILLS; kill++) {
      scene.more(3)
      // One chunk is always allowed, however large: the first one of a source has all that is there.
      const most = Math.max(IN_FLIGHT, ledger.unread(leftIn(folder).positions))
      const moment = MOMENTS[kill % 3]!
      const before = { all: server.lines.all.length, logins: server.lines.logins.length }
      // What this life has delivered and not stored.
      const ahead = ({ positions }: Stored) => {
        const { all, logins } = server.lines
        return ledger.ahead(positions, ledger.seen({ all: all.slice(before.all), logins: logins.slice(before.logins) }, []))
      }
      const life = scene.start(t, 'follow')
      let stop = () => {}
      t.teardown(() => stop())
      server.arm({
        nth: 1 + Math.floor(random() * (kill % 2 === 1 ? 6 : 20)),
        moment,
        ...(kill % 2 === 1 && { output: 'logins' }),
        // While a request waits nothing more is settled: positions must catch up with what is.
        ...(moment !== 'after the answer' && {
          async before() {
            // Meanwhile the other output goes on, as far as it may.
            const [requests, records] = [server.requests(), ledger.records.length]
            const isLater = () => server.requests() > requests + 5 || ledger.records.length > records + 100
            await until(isLater, life.stderr).finally(() => stop())
            await until(
              () => ahead(storedIn(folder)) <= most,
              () => 'positions do not move',
            ).catch(error => t.fail(error.message))
          },
        }),
        kill: () => void process.kill(life.child.pid!, 'SIGKILL'),
      })
      const requests = server.requests()
      await until(() => server.requests() > requests || life.child.exitCode !== null, life.stderr)
      if (life.child.exitCode === null && life.child.signalCode === null) stop = scene.write()
      const { signal, code, stderr } = await life.ended
      stop()
      t.equal(signal, 'SIGKILL', `ended with ${code}: ${stderr}`)
      killed[moment]++
      t.same(scene.afterKill(), [], 'what lies before the stored positions is settled')
      const bytes = ahead(leftIn(folder))
      if (moment !== 'after the answer') t.ok(bytes <= most, `${bytes} bytes are to be repeated`)
      repeated += bytes
      // Positions that do not move would be waited for again and again.
      if (!t.passing()) return
    }
    await scene.finish(t)
    for (const moment of MOMENTS) t.ok(killed[moment] > 0, moment)
    const totals = scene.totals()
    t.ok(totals.repeated > 0, 'kills did hit what was in flight')
    const moments = MOMENTS.map(moment => `${killed[moment]} ${moment}`)
    t.comment(`seed ${seed}: ${KILLS} killed of ${KILLS} (${moments.join(', ')}), ${repeated} bytes to repeat, ${told([totals])}`)
  })
}

t.test('row 4: what a kill repeats stays bounded while an output that takes one event in many stands still', async t => {
  const server = await ledgerServer()
  t.teardown(() => server.close())
  // The first record is a login and no other one is taken.
  const pipeline = pipelineTo(server.url, 'n == 0')
  const scene = new Scene(t.testdir({}), { random: randomOf(150), files: 1, pipeline, lines: () => server.lines })
  const { ledger, folder } = scene
  const answer = server.stall('logins')
  t.teardown(answer)
  const life = scene.start(t, 'follow')
  const ahead = () => ledger.ahead(storedIn(folder).positions, ledger.seen(server.lines, []))
  const port = await until(() => /"port":(\d+)/.exec(life.stderr())?.[1], life.stderr)
  let still = 0
  // Until nothing more is read, or far too much was. A few records at a time: no chunk is larger than what may be in flight.
  await until(async () => {
    const { read } = await balance(Number(port))
    still = read < ledger.records.length ? still + 1 : 0
    if (still === 0) scene.more(5)
    return still > 60 || ahead() > 2 * IN_FLIGHT
  }, life.stderr)
  life.child.kill('SIGKILL')
  await life.ended
  const bytes = ledger.ahead(leftIn(folder).positions, ledger.seen(server.lines, []))
  t.equal(server.lines.logins.length, 0, 'one output stood still')
  t.ok(bytes > 0 && bytes <= IN_FLIGHT, `${bytes} bytes are to be repeated, ${IN_FLIGHT} may be in flight`)
  answer()
})
