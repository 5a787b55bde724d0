// What the tests of the web rules share: a program that serves, and requests sent to it as bytes.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { CANARY_VARIABLE, canary } from '../kit/canary.ts'
import { start } from '../kit/process.ts'
import { until } from '../kit/until.ts'

/** The server's token, which must not be seen anywhere. */
export const TOKEN = canary('env')
export const AUTHORIZED = `Authorization: Bearer ${TOKEN}`
/** What an event may hold to forge a metric, or to do something to a terminal. */
export const NASTY = 'a"}\n# HELP forged\nforged 1\u001b[8m\u202e\\'

export interface Answer {
  /** 0: the connection was closed without an answer. */
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** Every answer of this file: rule 15 looks at all of them. */
export const answers: { readonly request: string; readonly answer: Answer }[] = []

/** Sends bytes as they are, and gives what comes until the server ends the connection. */
export function send(port: number, request: string, host = '127.0.0.1'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => socket.write(request, 'latin1'))
    let text = ''
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part
    })
    const deadline = setTimeout(() => reject(new Error(`no end of ${JSON.stringify(request.slice(0, 100))}`)), 30_000)
    socket.on('error', error => {
      if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') reject(error)
    })
    socket.on('close', () => {
      clearTimeout(deadline)
      const [head = '', ...rest] = text.split('\r\n\r\n')
      const [line = '', ...fields] = head.split('\r\n')
      const pairs = fields.map(
        field => [field.slice(0, field.indexOf(':')).toLowerCase(), field.slice(field.indexOf(':') + 1).trim()] as const,
      )
      const answer = {
        status: Number(/^HTTP\/1\.1 (\d+)/.exec(line)?.[1] ?? 0),
        headers: new Map(pairs),
        body: rest.join('\r\n\r\n'),
      }
      answers.push({ request, answer })
      resolve(answer)
    })
  })
}

/** A request with these lines behind its first; the connection ends with the answer. */
export function ask(port: number, first: string, ...lines: string[]): Promise<Answer> {
  const host = lines.some(line => /^host:/i.test(line)) ? [] : [`Host: 127.0.0.1:${port}`]
  return send(port, `${[`${first} HTTP/1.1`, ...host, ...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`)
}

/** The program with a pipeline that follows a file; resolves when it listens and has delivered the first event. */
export async function serving(t: Test) {
  const cwd = t.testdir({ 'in.ndjson': `${JSON.stringify({ n: 0, say: NASTY })}\n` })
  const outputs = [
    { type: join(import.meta.dirname, 'poison-talker.ts'), id: 'talker', when: '"say" in doc' },
    { type: 'file', id: 'out', path: 'out/o.ndjson' },
  ]
  const pipeline = {
    name: 'web',
    http: { port: 0, token: `\${${CANARY_VARIABLE}}` },
    inputs: [{ type: 'file', id: 'in', paths: ['in.ndjson'], follow: true }],
    filters: [{ type: 'parse', id: 'json', field: 'json' }],
    outputs,
  }
  writeFileSync(join(cwd, 'p.yaml'), JSON.stringify(pipeline))
  const { child, ended } = start(['run', 'p.yaml', '--log-format', 'json', '--no-progress'], { cwd })
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr?.on('data', (text: string) => {
    log += text
  })
  const port = await until(() => Number(/"port":(\d+)/.exec(log)?.[1]))
  const file = join(cwd, 'out/o.ndjson')
  const delivered = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0)
  await until(() => delivered() === 1)
  return {
    cwd,
    port,
    delivered,
    append: (records: readonly object[]) =>
      appendFileSync(join(cwd, 'in.ndjson'), records.map(record => `${JSON.stringify(record)}\n`).join('')),
    /** Ends it as an operator would. */
    stop: () => {
      child.kill('SIGTERM')
      return ended
    },
  }
}
