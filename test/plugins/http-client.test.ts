// The HTTP client against servers that misbehave: what arrives is whole or an error, and nothing is without a limit.
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTls } from 'node:https'
import { type AddressInfo, connect, createServer as createTcp } from 'node:net'
import { join } from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { systemClock } from '../../core/observe/clock.ts'
import { type HttpClient, type HttpOptions, openHttp } from '../../plugins/lib/http/client.ts'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'

const never = new AbortController().signal

async function serve(t: Test, listener: RequestListener, tls?: { key: string; cert: string }): Promise<URL> {
  const server: Server = tls ? createTls(tls, listener) : createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return new URL(`http${tls ? 's' : ''}://localhost:${(server.address() as AddressInfo).port}/`)
}

async function client(t: Test, options: Partial<HttpOptions> = {}): Promise<HttpClient> {
  const http = await openHttp({ clock: systemClock, ...options })
  t.teardown(() => http.close())
  return http
}

async function bodyOf(http: HttpClient, url: URL, options: { maxBytes?: number; totalMs?: number } = {}): Promise<string> {
  const { body } = await http.request(url, { signal: never, ...options })
  const parts: Buffer[] = []
  for await (const part of body) parts.push(part)
  return Buffer.concat(parts).toString()
}

t.test('rows 34, 42: a body arrives whole, or is an error', async t => {
  const text = JSON.stringify(Array.from({ length: 20_000 }, (_, n) => ({ n })))
  const ways: Record<string, (response: ServerResponse) => void> = {
    '/plain': response => response.end(text),
    '/gzip': response => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text)),
    '/cut': response => {
      response.writeHead(200, { 'content-length': text.length })
      response.write(text.slice(0, 1_000), () => response.destroy())
    },
    '/cut-chunked': response => void response.write(text.slice(0, 1_000), () => response.destroy()),
    '/cut-gzip': response => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(text).subarray(0, 200)),
    '/bad-gzip': response => response.writeHead(200, { 'content-encoding': 'gzip' }).end(text),
    '/reset': response => void response.destroy(),
  }
  const url = await serve(t, (request, response) => ways[request.url as string]?.(response))
  const http = await client(t)
  for (const path of ['plain', 'gzip']) t.equal(await bodyOf(http, new URL(path, url)), text, path)
  for (const path of ['cut', 'cut-chunked', 'cut-gzip', 'bad-gzip', 'reset'])
    await t.rejects(bodyOf(http, new URL(path, url)), { name: 'HttpError' }, path)
})

t.test('row 49: what is larger than its limit is given up, however small it came', async t => {
  const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  const url = await serve(t, ({ url }, response) => {
    if (url === '/twice') response.writeHead(200, { 'content-encoding': 'gzip, gzip' }).end(gzipSync(gzipSync('twice')))
    else if (url === '/deflate') response.writeHead(200, { 'content-encoding': 'deflate' }).end(deflateSync('x'))
    else response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
  })
  const http = await client(t)
  const before = process.memoryUsage().rss
  await t.rejects(bodyOf(http, new URL('bomb', url), { maxBytes: 1024 * 1024 }), { code: 'PEN_HTTP_TOO_LONG' })
  t.ok(process.memoryUsage().rss - before < 48 * 1024 * 1024, 'it was not unpacked')
  await t.rejects(bodyOf(http, new URL('twice', url)), { code: 'PEN_HTTP_ENCODING', message: 'gzip, gzip' })
  await t.rejects(bodyOf(http, new URL('deflate', url)), { code: 'PEN_HTTP_ENCODING' })
})

t.test('row 50: a body that drips, and a server that is silent, are given up', async t => {
  const url = await serve(t, (_, response) => {
    const timer = setInterval(() => response.write('x'), 5)
    response.on('close', () => clearInterval(timer))
  })
  const http = await client(t)
  await t.rejects(bodyOf(http, url, { totalMs: 100 }), { code: 'PEN_HTTP_TIMEOUT', message: 'within 0.1 s' })
  const silent = createTcp(() => {})
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const { port } = silent.address() as AddressInfo
  await t.rejects(bodyOf(http, new URL(`http://127.0.0.1:${port}/`), { totalMs: 100 }), { code: 'PEN_HTTP_TIMEOUT' })
  const stop = new AbortController()
  const asked = http.request(new URL(`http://127.0.0.1:${port}/`), { signal: stop.signal })
  stop.abort()
  await t.rejects(asked, { name: 'AbortError' }, 'an abort stays an abort')
})

t.test('row 38: a redirect is an answer, not a way', async t => {
  let visited = 0
  const other = await serve(t, (_, response) => {
    visited++
    response.end()
  })
  const url = await serve(t, (_, response) => response.writeHead(302, { location: other.href }).end())
  const http = await client(t)
  const { status, text } = await http.request(url, { signal: never, headers: { authorization: 'Bearer x', 'x-api-key': 'y' } })
  await text()
  t.equal(status, 302)
  t.equal(visited, 0)
})

t.test('certificates are checked; one of your own is trusted by its file, and what is wrong is said', async t => {
  const identity = await selfSigned(['localhost'])
  const url = await serve(t, (_, response) => response.end('hello'), identity)
  const folder = t.testdir({ 'ca.pem': identity.cert, 'none.pem': 'nothing' })
  const strict = await client(t)
  await t.rejects(bodyOf(strict, url), { message: 'name its PEM file with ca' })
  const http = await client(t, { ca: join(folder, 'ca.pem') })
  t.equal(await bodyOf(http, url), 'hello')
  const other = new URL(url)
  other.hostname = '127.0.0.1'
  await t.rejects(bodyOf(http, other), { message: 'for another host' })
  await t.rejects(openHttp({ clock: systemClock, ca: join(folder, 'none.pem') }), { message: 'no certificate in PEM' })
  await t.rejects(openHttp({ clock: systemClock, ca: join(folder, 'gone.pem') }), { message: 'cannot be read' })
})

t.test('a proxy is used for https, with its credentials for it alone, and not for what NO_PROXY names', async t => {
  const identity = await selfSigned(['localhost'])
  const seen: (string | undefined)[] = []
  const url = await serve(
    t,
    (request: IncomingMessage, response) => {
      seen.push(request.headers['proxy-authorization'])
      response.end('behind it')
    },
    identity,
  )
  const asked: [string | undefined, string | undefined][] = []
  const proxy = createServer()
  proxy.on('connect', (request, socket) => {
    asked.push([request.url, request.headers['proxy-authorization']])
    const [host, port] = String(request.url).split(':')
    const through = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      through.pipe(socket).pipe(through)
    })
    for (const end of [through, socket]) end.on('error', () => {})
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    proxy.close()
    proxy.closeAllConnections()
  })
  const address = `http://user:pass@127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const ca = join(t.testdir({ 'ca.pem': identity.cert }), 'ca.pem')
  const http = await client(t, { ca, proxy: address })
  t.equal(await bodyOf(http, url), 'behind it')
  t.same(asked, [[url.host, `Basic ${Buffer.from('user:pass').toString('base64')}`]])
  t.same(seen, [undefined])
  t.teardown(() => {
    delete process.env['NO_PROXY']
  })
  process.env['NO_PROXY'] = 'localhost'
  const direct = await client(t, { ca, proxy: address })
  t.equal(await bodyOf(direct, url), 'behind it')
  t.equal(asked.length, 1)
})
