// TLS and addresses of the http output: who is talked to, and who is not.
import type { lookup } from 'node:dns'
import { join } from 'node:path'
import t from 'tap'
import { checkHost, publicOnly, specialRange } from '../../plugins/lib/http/public-only.ts'
import http from '../../plugins/outputs/http/index.ts'
import { certificate, created, destination, OLD_TLS, opened, wrongCertificates } from './http-output-support.ts'

t.setTimeout(120_000)

const ca = certificate({ hosts: ['ca.example'] })

t.test('row 61: a certificate that is wrong is refused with what is wrong with it, and nothing is sent', async t => {
  const file = join(t.testdir({ 'ca.pem': ca.cert }), 'ca.pem')
  const good = await destination(t, undefined, certificate({ by: ca }))
  const trusting = await opened(t, http, { url: good.url, ca: file })
  t.equal((await trusting.deliver([{ n: 1 }])).size, 0)
  t.equal(good.seen.length, 1)
  for (const [identity, said] of wrongCertificates(ca)) {
    const { url, seen } = await destination(t, undefined, identity)
    const { deliver } = await opened(t, http, { url, ca: file, bearer_token: 'made-up' })
    await t.rejects(deliver([{ n: 1 }]), { name: 'RetryableError', message: said }, said)
    t.equal(seen.length, 0)
    const careless = await opened(t, http, { url, tls_insecure: true })
    t.equal((await careless.deliver([{ n: 1 }])).size, 0)
    t.match(careless.lines, [/^warn tls_insecure: certificates are not looked at/])
    t.equal(careless.gauges.get('tls_insecure'), 1)
  }
})

t.test('row 61: TLS older than 1.2 is refused, also where certificates do not count', async t => {
  const { url, seen } = await destination(t, undefined, { ...certificate({ by: ca }), ...OLD_TLS })
  const { deliver } = await opened(t, http, { url, tls_insecure: true })
  await t.rejects(deliver([{ n: 1 }]), { name: 'RetryableError', message: 'none of the versions of TLS that are sound' })
  t.equal(seen.length, 0)
})

t.test('a server that speaks no TLS is named as such', async t => {
  const { port } = await destination(t)
  const { deliver } = await opened(t, http, { url: `https://localhost:${port}` })
  await t.rejects(deliver([{ n: 1 }]), { message: 'what answers on this port speaks no TLS' })
})

t.test('a client certificate is shown where it is asked for; one that cannot be used stops the start', async t => {
  const own = certificate({ by: ca, hosts: ['penstock.example'] })
  const folder = t.testdir({
    ...{ 'ca.pem': ca.cert, 'both.pem': own.cert + own.key, 'cert.pem': own.cert, 'key.pem': own.key },
    ...{ 'other.pem': ca.key, 'none.pem': 'nothing' },
  })
  const file = (name: string) => join(folder, name)
  const { url, seen } = await destination(t, undefined, {
    ...certificate({ by: ca }),
    ...{ requestCert: true, rejectUnauthorized: true, ca: ca.cert },
  })
  for (const options of [
    { client_certificate: file('both.pem') },
    { client_certificate: file('cert.pem'), client_key: file('key.pem') },
  ]) {
    const { deliver } = await opened(t, http, { url, ca: file('ca.pem'), ...options })
    t.equal((await deliver([{ n: 1 }])).size, 0)
  }
  t.equal(seen.length, 2)
  const without = await opened(t, http, { url, ca: file('ca.pem') })
  await t.rejects(without.deliver([{ n: 1 }]), { name: 'RetryableError', code: 'PEN_NO_ANSWER' })
  const start = (options: object) => opened(t, http, { url, ...options })
  await t.rejects(start({ client_certificate: file('cert.pem') }), { path: 'client_certificate', message: 'no private key' })
  await t.rejects(start({ client_certificate: file('cert.pem'), client_key: file('other.pem') }), {
    path: 'client_key',
    message: 'another private key than that of the certificate',
  })
  await t.rejects(start({ client_certificate: file('none.pem') }), { message: 'no certificate in PEM' })
  await t.rejects(start({ ca: file('gone.pem') }), { path: 'ca', message: 'cannot be read' })
})

t.test('plain http to another machine is warned of, and to this one not', async t => {
  const { url } = await destination(t)
  t.same((await opened(t, http, { url })).lines, [])
  t.match((await opened(t, http, { url: 'http://collector.example' })).lines, [/^warn events go over plain http/])
})

t.test('row 68: addresses that are not public, in whatever form', t => {
  const inside: Record<string, string> = {
    '127.0.0.1': 'loopback',
    '169.254.169.254': 'linkLocal',
    '10.1.2.3': 'private',
    '172.16.0.1': 'private',
    '192.168.0.1': 'private',
    '100.64.0.1': 'carrierGradeNat',
    '0.0.0.0': 'unspecified',
    '255.255.255.255': 'broadcast',
    '224.0.0.1': 'multicast',
    '192.0.2.1': 'reserved',
    '::1': 'loopback',
    '::': 'unspecified',
    '::ffff:169.254.169.254': 'ipv4Mapped',
    '::ffff:8.8.8.8': 'ipv4Mapped',
    'fe80::1%eth0': 'linkLocal',
    'fd00:ec2::254': 'uniqueLocal',
    '64:ff9b::a9fe:a9fe': 'rfc6052',
    '2002:a9fe:a9fe::1': '6to4',
    nothing: 'no address',
  }
  for (const [address, range] of Object.entries(inside)) t.equal(specialRange(address), range, address)
  for (const address of ['8.8.8.8', '1.1.1.1', '2606:4700:4700::1111']) t.equal(specialRange(address), undefined, address)
  for (const host of ['127.1', '2130706433', '0x7f000001', '017700000001', '[::ffff:7f00:1]', '0xA9.254.0251.254'])
    t.throws(() => checkHost(new URL(`http://${host}/`)), { code: 'PEN_PRIVATE_ADDRESS' }, host)
  t.throws(() => created(http, { url: 'http://[::ffff:169.254.169.254]/in', deny_private: true }), { code: 'PEN_OPTION' })
  t.end()
})

t.test('row 68: what a name leads to is looked at when it is connected, and is what is connected', async t => {
  const { seen, url } = await destination(t)
  const { deliver } = await opened(t, http, { url, deny_private: true })
  await t.rejects(deliver([{ n: 1 }]), {
    name: 'RetryableError',
    message: /no answer from localhost:\d+: localhost leads to (127\.0\.0\.1|::1), which is no public address \(loopback\)/,
  })
  t.equal(seen.length, 0)
  const asks = (addresses: readonly string[], all: boolean) =>
    new Promise<unknown>(resolve => {
      const fake = ((_host: string, _options: object, done: (error: null, found: object[]) => void) =>
        done(
          null,
          addresses.map(address => ({ address, family: 4 })),
        )) as unknown as typeof lookup
      publicOnly(fake)('name.example', { all }, (error, found) => resolve(error ?? found))
    })
  t.equal(await asks(['8.8.8.8'], false), '8.8.8.8')
  t.same(await asks(['8.8.8.8', '8.8.4.4'], true), [
    { address: '8.8.8.8', family: 4 },
    { address: '8.8.4.4', family: 4 },
  ])
  t.match(await asks(['8.8.8.8', '10.0.0.1'], true), { code: 'PEN_PRIVATE_ADDRESS', message: 'name.example leads to 10.0.0.1' })
  t.match(await asks([], true), { message: 'leads to no address' })
})

t.test('row 68: deny_private goes round the proxy of the environment, which would look names up itself', async t => {
  const proxy = await destination(t)
  const before = { ...process.env }
  t.teardown(() => {
    process.env = before
  })
  process.env['http_proxy'] = proxy.url
  process.env['NO_PROXY'] = ''
  const { url } = await destination(t)
  const { deliver } = await opened(t, http, { url, deny_private: true })
  await t.rejects(deliver([{ n: 1 }]), { message: 'no public address' })
  t.equal(proxy.seen.length, 0)
  const through = await opened(t, http, { url: 'http://collector.example/in' })
  t.equal((await through.deliver([{ n: 1 }])).size, 0)
  t.match(proxy.seen, [{ url: 'http://collector.example/in' }], 'and without it the proxy is used')
})
