// TLS of the output elasticsearch: what is wrong with a certificate is said, and nothing is sent.
import { join } from 'node:path'
import t from 'tap'
import elasticsearch from '../../plugins/outputs/elasticsearch/index.ts'
import { certificate, destination, OLD_TLS, opened, wrongCertificates } from './http-output-support.ts'

t.setTimeout(120_000)

const ca = certificate({ hosts: ['ca.example'] })
const record = { '@timestamp': '2026-05-01T10:00:00Z', event: { id: 'e', dataset: 'o365.audit' } }

t.test('row 61: a wrong certificate, or an old protocol, is refused with what is wrong, and nothing is sent', async t => {
  const file = join(t.testdir({ 'ca.pem': ca.cert }), 'ca.pem')
  for (const [identity, said] of wrongCertificates(ca)) {
    const { url, seen } = await destination(t, undefined, identity)
    const { deliver } = await opened(t, elasticsearch, { hosts: [new URL(url).origin], ca: file, api_key: 'made-up' })
    await t.rejects(deliver([record]), { name: 'RetryableError', message: said }, said)
    t.equal(seen.length, 0)
    const careless = await opened(t, elasticsearch, { hosts: [new URL(url).origin], tls_insecure: true })
    // Whoever answers there is no Elasticsearch, but it was asked.
    await t.rejects(careless.deliver([record]), { name: 'RetryableError' })
    t.equal(seen.length, 1)
    t.match(careless.lines, [/^warn tls_insecure is on/])
    t.equal(careless.gauges.get('elasticsearch_tls_insecure'), 1)
  }
  const old = await destination(t, undefined, { ...certificate({ by: ca }), ...OLD_TLS })
  const { deliver } = await opened(t, elasticsearch, { hosts: [new URL(old.url).origin], tls_insecure: true })
  await t.rejects(deliver([record]), { name: 'RetryableError', message: 'none of the versions of TLS that are sound' })
  t.equal(old.seen.length, 0)
})

t.test('a certificate that is signed by the authority in ca is taken, beside those of the system', async t => {
  const file = join(t.testdir({ 'ca.pem': ca.cert }), 'ca.pem')
  const good = await destination(t, undefined, certificate({ by: ca }))
  const { deliver } = await opened(t, elasticsearch, { hosts: [new URL(good.url).origin], ca: file })
  await t.rejects(deliver([record]), { name: 'RetryableError' })
  t.equal(good.seen.length, 1)
})
