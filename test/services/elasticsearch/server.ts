// A real Elasticsearch server for a test: started, killed and stopped by the scripts beside this file.
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { Agent, request as send } from 'undici'

/** 9 is 9.5, 8 is 8.19 with ES|QL. */
export type Line = 8 | 9

export interface ElasticsearchOptions {
  /** This server's data, logs and configuration; the same folder again goes on with the same data on the same port. */
  readonly folder: string
  /** Default: what ES_LINE says, else 9. */
  readonly line?: Line
  /** Requests need the user and password, or an API key made with them. Default: false. */
  readonly security?: boolean
  /**
   * A folder with http.crt and http.key (PEM): https, which needs `security`. Where it holds ca.crt too, clients must show a certificate
   * that this signed; client.crt and client.key are then what `request` here shows.
   */
  readonly tls?: string
  /** Settings that win over config/elasticsearch.yml. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** Java heap. Default: 512. */
  readonly heapMb?: number
}

export interface ServerAnswer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of a hundred shapes, and fail where one is another
  readonly json: any
}

export interface ElasticsearchServer {
  readonly url: string
  /** A superuser, with `security`. */
  readonly user: string
  readonly password: string
  readonly pid: number
  readonly line: Line
  /** One request, by the superuser unless `authorization` says another. An object is sent as JSON, text as NDJSON. */
  request(method: string, path: string, body?: object | string, authorization?: string): Promise<ServerAnswer>
  /** Ends it at once, as a crash would. Started again with the same folder it goes on. */
  kill(): Promise<void>
  /** Ends it in order. Does nothing when it has ended. */
  stop(): Promise<void>
}

const USER = 'penstock'
const PASSWORD = 'penstock-test'
const here = fileURLToPath(new URL('.', import.meta.url))

/** Why no server can be had on this machine, for a skip to say; undefined where one can. */
export function elasticsearchMissing(): string | undefined {
  const { stdout = '', error } = spawnSync('bash', ['-c', '. ./lib.sh && missing'], { cwd: here, encoding: 'utf8' })
  const lacking = error ? ['bash'] : stdout.trim().split('\n').filter(Boolean)
  return lacking.length > 0 ? `a real Elasticsearch needs ${lacking.join(', ')}` : undefined
}

/** Starts a server on loopback, on a port that the system chooses, and waits until it answers; the first one is fetched and unpacked. */
export async function startElasticsearch(options: ElasticsearchOptions): Promise<ElasticsearchServer> {
  const { folder, line = process.env['ES_LINE'] === '8' ? 8 : 9, security = false, tls, settings = {}, heapMb = 512 } = options
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ES_LINE: String(line),
    ES_RUN: folder,
    ES_SECURITY: security ? 'on' : 'off',
    ES_HEAP: `${heapMb}m`,
    ES_OWNER: String(process.pid),
    // Whoever runs the tests may have these for a server of his own.
    ES_TLS: tls,
    ES_PORT: undefined,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => ['-E', `${name}=${value}`])
  const said = await script('start', args, env)
  const url = /^url=(.+)$/m.exec(said)?.[1]
  const pid = Number(/^pid=(\d+)$/m.exec(said)?.[1])
  if (url === undefined || !(pid > 0)) throw new Error(`./start did not say where the server is:\n${said}`)

  const agent = new Agent({ connect: tls === undefined ? {} : connectTls(tls) })
  const own = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`
  let ended = false
  const end = async (how: readonly string[]) => {
    if (ended) return
    ended = true
    await script('stop', how, env)
  }
  return {
    url,
    user: USER,
    password: PASSWORD,
    pid,
    line,
    async request(method, path, body, authorization = own) {
      const { statusCode, body: answer } = await send(url + path, {
        // biome-ignore lint/suspicious/noExplicitAny: undici names the methods, a test may send any
        method: method as any,
        dispatcher: agent,
        headers: {
          authorization,
          ...(body !== undefined && { 'content-type': typeof body === 'string' ? 'application/x-ndjson' : 'application/json' }),
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await answer.text()
      return { status: statusCode, json: parsed(text) }
    },
    kill: () => end(['--kill']),
    stop: () => end([]),
  }
}

/** The certificates of `tls`; the server's own is trusted as it is. */
function connectTls(tls: string) {
  const read = (name: string) => readFileSync(join(tls, name), 'utf8')
  const optional = (name: string) => {
    try {
      return read(name)
    } catch {
      return undefined
    }
  }
  const cert = optional('client.crt')
  const key = optional('client.key')
  // What is tested with a wrong host or an expired certificate is the client that Penstock has, not this one.
  return { ca: read('http.crt'), rejectUnauthorized: false, ...(cert !== undefined && key !== undefined && { cert, key }) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Runs one of the scripts to its end. Resolves to what it printed; rejects with what it complained of. */
function script(name: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(join(here, name), args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      if (code === 0) resolve(out)
      else reject(new Error(`test/services/elasticsearch/${name} ended with ${code}:\n${(err || out).slice(-4000)}`))
    })
  })
}
