// penstock simulate, as lists and help know it; what it does is loaded when it is called.
import type { Verb } from '../../../../../core/plugin/define.ts'
import { NAMED_FAULTS } from '../fault-names.ts'
import { SCENARIOS } from '../faults.ts'

/** Where the simulator listens when no port is named. */
export const DEFAULT_PORT = 4365
export const DEFAULT_FOLDER = 'simulated-tenant'

const scenarios = Object.entries(SCENARIOS)
  .map(([name, scenario]) => {
    const faults = NAMED_FAULTS.filter(fault => fault.shareIn(scenario) > 0).map(({ name }) => name)
    return `  ${name.padEnd(11)} ${faults.length === NAMED_FAULTS.length ? 'all faults' : lines(faults.join(' ')) || 'no faults'}`
  })
  .join('\n')

const faults = NAMED_FAULTS.map(({ name, of, what }) => `  ${name.padEnd(14)} ${of.padEnd(13)} ${what}`).join('\n')

/** Words in lines that stand below each other. */
function lines(text: string): string {
  return text.replace(/(.{1,100})(?: |$)/g, (_, line: string) => `${line}\n${' '.repeat(14)}`).trimEnd()
}

const usage = `Usage: penstock simulate [OPTION …]

Serves a made-up Microsoft 365 on loopback: tenants with people at work, the login and the Office 365 Management Activity API, over TLS
with a certificate of its own making. It is as strict as the real service, and fails as the real service does, on request. What it
holds follows from its seed. It runs until SIGINT or SIGTERM, or, with --run, until that pipeline has ended.

Tenants
  --tenants N               how many (default: 1)
  --users N                 people in each (default: 500; 100,000 people make about 10 GB a day)
  --seed N                  another seed makes other people and other records (default: 1)
  --not-subscribed          no subscription was ever started; without it all were, long ago
  --backfill DURATION       how far before the start of a subscription content can be had (default: 22h)

Time
  --from TIME               simulated time begins here, like 2026-05-06T12:00:00Z (default: now)
  --history DURATION        so much has happened before that, like 36h (default: 7d)
  --speed N                 simulated seconds in a real one (default: 1; 10080 lets a week pass in a minute)

Content
  --slot DURATION           records of so much time lie in one blob of each content type (default: 5m)
  --blob-records N          more records than this make another blob (default: 5000)
  --big-blob SIZE           one blob of each tenant has about this size, like 60MB
  --expiry DURATION         how long a blob can be read (default: 20d, which was measured; the documents say 7d)

Service
  --scenario NAME           what goes wrong; see below (default: calm)
  --fault NAME=SHARE        one more fault, or another share (0 to 1) of one; may be given again and again
  --latency MS              what every answer waits (default: 0)
  --requests-per-minute N   the quota of a tenant (default: 2000)
  --page-size N             how many blobs a page of a listing has (default: 100)
  --token-seconds N         how long a token is good for (default: 3599)
  --full-day                windows of exactly 24 hours are allowed
  --port N                  where it listens on 127.0.0.1 (default: ${DEFAULT_PORT}; 0: any port that is free)

Use
  --folder DIR              gets ca.pem, tenants.yaml, client-secret and environment (default: ${DEFAULT_FOLDER})
  --run PIPELINE            runs this pipeline against it, and compares what came with what was there: exit code 1 when records are
                            lost or invented. It keeps its state in the folder. Where the simulator begins a new world (another seed,
                            another time, other content), that state is removed, and so are the pipeline's output files in the folder
  --keep                    with --run: stays up when the pipeline has ended

Pipelines find these in their environment with --run, and in DIR/environment: PENSTOCK_SIMULATOR_URL, _CA (a path), _UNTIL (the
simulated time at the start), _TENANTS (the path of tenants.yaml), and of the first tenant _TENANT_ID, _CLIENT_ID, _CLIENT_SECRET,
_CLIENT_SECRET_FILE (a path).

Scenarios
${scenarios}

Faults, and what their share is a share of
${faults}

While it runs: GET /simulator/status, /simulator/tenants and /simulator/ledger; POST /simulator/disable?tenant=ID&content_type=NAME
(by=service), /simulator/roles?tenant=ID&roles=NAME,NAME, /simulator/revoke (all tokens), /simulator/restart?ms=N.

Examples
  penstock simulate                                            a week of 500 people, to be read at leisure
  penstock simulate --scenario everything --speed 600          ten minutes pass in a second, and everything goes wrong
  penstock simulate --run pipelines/simulated-tenant.yaml --users 50 --fault cut=0.2`

export const verb: Verb = {
  summary: 'Serve a made-up Microsoft 365 on this machine to try pipelines on, with faults on request',
  usage,
  run: async args => (await import('./simulate.ts')).simulate(args),
}
