// The output azure_blob on a service that refuses, forgets and loses answers: nothing is lost, nothing is there twice, secrets stay secret.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { selfSigned } from '../../plugins/lib/microsoft/simulator/certificate.ts'
import { simulateEntra } from '../../plugins/lib/microsoft/simulator/entra.ts'
import { compile } from '../../plugins/lib/template.ts'
import azureBlob from '../../plugins/outputs/azure_blob/index.ts'
import { appended, dated, NAME_RULES } from '../../plugins/outputs/azure_blob/names.ts'
import { fc, randomOf } from '../kit/rounds.ts'
import { blobService, KEY, lines, numbered, openedOn, opening, type Service, withKey } from './azure-blob-support.ts'

const FIRST = 'a.abcdefgh-0001.ndjson'
const SECOND = 'a.abcdefgh-0002.ndjson'
const textOf = ({ blobs }: Service, name: string) => blobs.get(name)?.content.toString()
const whatOf = ({ asked }: Service) => asked.map(({ what }) => what).join(' ')

t.test('an append blob grows by a block a batch, and goes on after a restart', async t => {
  const service = await blobService(t)
  const first = await openedOn(t, withKey(service))
  await first.write(numbered(0, 3))
  await first.write(numbered(3, 6))
  t.equal(whatOf(service), 'create append append', 'nothing is asked that is known')
  t.match(first.output.summary?.(), {
    rows: [
      ['container', 'audit'],
      ['blobs', 1],
      ['events', 6],
      ['bytes', Number],
    ],
  })
  const second = await openedOn(t, withKey(service))
  await second.write(numbered(6, 9))
  t.strictSame([...service.blobs.keys()], [FIRST])
  t.equal(textOf(service, FIRST), lines(numbered(0, 9)))
  t.equal(service.blobs.get(FIRST)?.headers['x-ms-blob-content-type'], 'application/x-ndjson')
})

t.test('two engines never share a blob, and each keeps its own name', async t => {
  const service = await blobService(t)
  const [mine, theirs] = [new Map(), new Map()]
  for (let round = 0; round < 2; round++) {
    for (const stored of [mine, theirs]) {
      const { write } = await openedOn(t, withKey(service), stored)
      await write(numbered(0, 1))
    }
  }
  t.not(mine.get('writer'), theirs.get('writer'))
  t.match(mine.get('writer'), /^[a-z2-9]{8}$/)
  t.equal(service.blobs.size, 2)
  for (const { blocks } of service.blobs.values()) t.equal(blocks, 2)
})

t.test('a block whose answer was lost is found, and is not there twice', async t => {
  for (const lost of [
    { status: 500, code: 'OperationTimedOut', done: true },
    { status: 503, code: 'ServerBusy', done: true },
    'gone',
  ] as const) {
    for (const compression of ['none', 'gzip']) {
      const service = await blobService(t)
      const { send, items, write } = await openedOn(t, { ...withKey(service), compression })
      await write(numbered(0, 2))
      const batch = items(numbered(2, 5))
      let left = 1
      service.fault = ({ what }) => (what === 'append' && left-- > 0 ? lost : undefined)
      await t.rejects(send(batch), { name: 'RetryableError' })
      await send(batch)
      await write(numbered(5, 6))
      const content = service.blobs.get(FIRST)?.content ?? Buffer.alloc(0)
      t.equal((compression === 'gzip' ? gunzipSync(content) : content).toString(), lines(numbered(0, 6)))
      t.equal(service.blobs.size, 1)
    }
  }
})

t.test('a block that was not stored is sent again to the same place', async t => {
  const service = await blobService(t)
  const { send, items } = await openedOn(t, withKey(service))
  const batch = items(numbered(0, 3))
  let left = 3
  service.fault = ({ what }) => (what === 'append' && left-- > 0 ? { status: 503, code: 'ServerBusy' } : undefined)
  for (let i = 0; i < 3; i++) await t.rejects(send(batch), { message: /ServerBusy \(503\).*the account is busy/ })
  await send(batch)
  t.equal(textOf(service, FIRST), lines(numbered(0, 3)))
})

t.test('when one blob of a batch fails, what the others got is not written again', async t => {
  const service = await blobService(t)
  const { send, items } = await openedOn(t, { ...withKey(service), blob: 'out/%{k}.ndjson', parallel: 1 })
  const batch = items([{ k: 'a' }, { k: 'b' }, { k: 'a' }, { k: 'c' }])
  service.fault = ({ what, blob }) =>
    what === 'append' && blob.startsWith('out/b') ? { status: 500, code: 'InternalError' } : undefined
  await t.rejects(send(batch), { name: 'RetryableError' })
  service.fault = () => undefined
  await send(batch)
  t.equal(textOf(service, 'out/a.abcdefgh-0001.ndjson'), lines([{ k: 'a' }, { k: 'a' }]))
  t.equal(textOf(service, 'out/b.abcdefgh-0001.ndjson'), lines([{ k: 'b' }]))
  t.equal(textOf(service, 'out/c.abcdefgh-0001.ndjson'), lines([{ k: 'c' }]))
})

t.test('the next blob begins when one is full, by count, by size, or because the service says so', async t => {
  const service = await blobService(t)
  const options = { ...withKey(service), max_blocks: 2 }
  const { write } = await openedOn(t, options)
  for (let n = 0; n < 5; n++) await write(numbered(n, n + 1))
  t.strictSame(
    [...service.blobs].map(([name, { blocks }]) => [name, blocks]),
    [
      [FIRST, 2],
      [SECOND, 2],
      ['a.abcdefgh-0003.ndjson', 1],
    ],
  )
  const again = await openedOn(t, options)
  for (let n = 5; n < 30; n++) await again.write(numbered(n, n + 1))
  const third = await openedOn(t, options)
  service.asked.length = 0
  await third.write(numbered(30, 31))
  t.equal(service.blobs.size, 16)
  t.ok(service.asked.length < 20, `the last one is found with few questions: ${whatOf(service)}`)
  t.equal([...service.blobs.values()].map(({ content }) => content.toString()).join(''), lines(numbered(0, 31)))

  const sized = await blobService(t)
  const long = await openedOn(t, { ...withKey(sized), rotate_bytes: 1024 })
  for (let n = 0; n < 10; n++) await long.write([{ n, text: 'x'.repeat(300) }])
  t.ok(sized.blobs.size > 3)
  for (const { content } of sized.blobs.values()) t.ok(content.length <= 1024, `${content.length} bytes`)

  const told = await blobService(t)
  told.fault = ({ what, blob }) =>
    what === 'append' && blob === FIRST && told.blobs.get(FIRST)?.blocks === 1
      ? { status: 409, code: 'BlockCountExceedsLimit' }
      : undefined
  const { write: tell } = await openedOn(t, withKey(told))
  for (let n = 0; n < 3; n++) await tell(numbered(n, n + 1))
  t.equal(textOf(told, FIRST), lines(numbered(0, 1)))
  t.equal(textOf(told, SECOND), lines(numbered(1, 3)))
})

t.test('where not even a new blob takes a block, no blobs are made for ever', async t => {
  const service = await blobService(t)
  service.fault = ({ what }) => (what === 'append' ? { status: 409, code: 'BlobImmutableDueToPolicy' } : undefined)
  const { write } = await openedOn(t, withKey(service))
  for (let i = 0; i < 3; i++) await t.rejects(write(numbered(0, 1)), { message: /BlobImmutableDueToPolicy/ })
  t.equal(service.blobs.size, 1)
})

t.test('a blob that somebody else appends to, removes, or has made, takes no part of a batch with it', async t => {
  const service = await blobService(t)
  const { write, context } = await openedOn(t, withKey(service))
  await write(numbered(0, 2))
  const blob = service.blobs.get(FIRST)
  const theirs = 'theirs, and longer than the batch\n'
  if (blob) blob.content = Buffer.concat([blob.content, Buffer.from(theirs)])
  await write(numbered(2, 4))
  t.equal(textOf(service, FIRST), lines(numbered(0, 2)) + theirs)
  t.equal(textOf(service, SECOND), lines(numbered(2, 4)))
  t.match(context.lines.join(), /another program appends to this blob/)

  service.blobs.delete(SECOND)
  await t.rejects(write(numbered(4, 6)), { message: /BlobNotFound/ })
  await write(numbered(4, 6))
  t.equal(textOf(service, SECOND), lines(numbered(4, 6)), 'it is made anew')

  const others = await blobService(t)
  others.blobs.set(FIRST, { type: 'BlockBlob', headers: {}, content: Buffer.from('mine'), blocks: 0 })
  others.blobs.set(SECOND, {
    type: 'AppendBlob',
    headers: { 'x-ms-meta-penstock_layout': 'csv-none-0' },
    content: Buffer.from('n'),
    blocks: 1,
  })
  const own = await openedOn(t, withKey(others))
  await own.write(numbered(0, 1))
  t.equal(textOf(others, FIRST), 'mine')
  t.equal(textOf(others, SECOND), 'n', 'of another form')
  t.equal(textOf(others, 'a.abcdefgh-0003.ndjson'), lines(numbered(0, 1)))
})

t.test('a CSV blob has its header once, and other columns begin another blob', async t => {
  const service = await blobService(t)
  for (const columns of [['n'], ['n'], ['n', 'x']]) {
    for (const compression of ['none', 'gzip']) {
      const options = { ...withKey(service), blob: `a-${compression}.csv`, format: 'csv', columns, compression }
      const { write } = await openedOn(t, options)
      await write(numbered(0, 2))
      await write(numbered(2, 3))
    }
  }
  t.equal(textOf(service, 'a-none.abcdefgh-0001.csv'), 'n\r\n0\r\n1\r\n2\r\n0\r\n1\r\n2\r\n')
  t.equal(textOf(service, 'a-none.abcdefgh-0002.csv'), 'n,x\r\n0,\r\n1,\r\n2,\r\n')
  const packed = service.blobs.get('a-gzip.abcdefgh-0001.csv')
  t.equal(gunzipSync(packed?.content ?? '').toString(), 'n\r\n0\r\n1\r\n2\r\n0\r\n1\r\n2\r\n')
  t.equal(packed?.headers['x-ms-blob-content-type'], 'application/gzip')
})

t.test('block blobs: each batch is one, whole, and a repeat is known', async t => {
  const cases = [
    { format: 'ndjson', compression: 'none', plain: (bytes: Buffer) => bytes.toString(), expected: lines(numbered(0, 3)) },
    {
      format: 'json',
      compression: 'none',
      plain: (bytes: Buffer) => bytes.toString(),
      expected: '[\n{"n":0}\n,{"n":1}\n,{"n":2}\n]\n',
    },
    {
      format: 'json',
      compression: 'gzip',
      plain: (bytes: Buffer) => gunzipSync(bytes).toString(),
      expected: '[\n{"n":0}\n,{"n":1}\n,{"n":2}\n]\n',
    },
    {
      format: 'csv',
      compression: 'zstd',
      plain: (bytes: Buffer) => zstdDecompressSync(bytes).toString(),
      expected: 'n\r\n0\r\n1\r\n2\r\n',
    },
  ]
  for (const { format, compression, plain, expected } of cases) {
    const service = await blobService(t)
    const columns = format === 'csv' && { columns: ['n'] }
    const { send, items } = await openedOn(t, { ...withKey(service), blob_type: 'block', format, compression, ...columns })
    for (let batch = 0; batch < 3; batch++) {
      const same = items(numbered(0, 3))
      let left = 1
      service.fault = ({ what }) =>
        what === 'put' && batch > 0 && left-- > 0 ? (batch === 1 ? 'gone' : { status: 500, code: 'InternalError' }) : undefined
      if (batch > 0) await t.rejects(send(same), { name: 'RetryableError' })
      await send(same)
    }
    t.equal(service.blobs.size, 3, 'three batches of the same records are three blobs')
    for (const [name, { content }] of service.blobs) {
      t.match(name, /^a\.\d{8}T\d{9}Z-abcdefgh-00000\d\.ndjson$/)
      t.equal(plain(content), expected)
    }
  }
})

t.test('a name that another blob has already is not overwritten', async t => {
  const service = await blobService(t)
  let taken = ''
  service.fault = ({ what, blob }) => {
    if (what === 'put' && !taken) {
      taken = blob
      service.blobs.set(blob, { type: 'BlockBlob', headers: {}, content: Buffer.from('{"n":7}\n'), blocks: 0 })
    }
    return undefined
  }
  const { write } = await openedOn(t, { ...withKey(service), blob_type: 'block' })
  await write(numbered(0, 1))
  t.equal(service.blobs.size, 2)
  t.equal(textOf(service, taken), '{"n":7}\n')
})

t.test('an event that fits into no block is refused, and the others arrive', async t => {
  const random = randomOf(720)
  for (const blob_type of ['append', 'block']) {
    for (const compression of ['none', 'gzip']) {
      const service = await blobService(t)
      const { write } = await openedOn(t, { ...withKey(service), blob_type, compression, block_bytes: 4096 })
      const noise = Buffer.from(Array.from({ length: 9000 }, () => random() * 256)).toString('base64')
      const rejected = await write([{ n: 0 }, { n: 1, noise }, { n: 2 }])
      t.match(rejected.get(1), /TooLargeError: azure_blob: the event takes \d+ bytes, and a block 4096; raise block_bytes/)
      t.equal(rejected.size, 1)
      const all = [...service.blobs.values()].map(({ content }) =>
        (compression === 'gzip' ? gunzipSync(content) : content).toString(),
      )
      t.equal(all.join(''), lines([{ n: 0 }, { n: 2 }]))
    }
  }
})

t.test('what the service finds too large is sent in halves', async t => {
  for (const blob_type of ['append', 'block']) {
    const service = await blobService(t)
    service.fault = ({ what, body }) =>
      ['append', 'put'].includes(what) && body.length > 30 ? { status: 413, code: 'RequestBodyTooLarge' } : undefined
    const { write } = await openedOn(t, { ...withKey(service), blob_type })
    const rejected = await write([...numbered(0, 10), { text: 'x'.repeat(40) }, ...numbered(10, 12)])
    t.strictSame([...rejected.keys()], [10])
    t.match(rejected.get(10), /TooLargeError: .*RequestBodyTooLarge/)
    t.equal([...service.blobs.values()].map(({ content }) => content.toString()).join(''), lines(numbered(0, 12)))
  }
})

t.test('a missing container is told of, or made', async t => {
  const service = await blobService(t)
  service.containers.clear()
  const { write } = await openedOn(t, withKey(service))
  await t.rejects(write(numbered(0, 1)), { message: /ContainerNotFound \(404\).*make it, or set create_container/ })
  const maker = await openedOn(t, { ...withKey(service), create_container: true })
  await maker.write(numbered(0, 1))
  t.equal(textOf(service, FIRST), lines(numbered(0, 1)))
})

t.test('row 56: refused access waits and never loses an event, and a renewed SAS is read from its file', async t => {
  const service = await blobService(t)
  const dir = t.testdir({ sas: 'sv=2026&sig=old' })
  const file = join(dir, 'sas')
  const refusal = { status: 403, code: 'AuthenticationFailed' }
  service.fault = ({ url }) => (new URL(url, 'http://x').searchParams.get('sig') === 'new' ? undefined : refusal)
  const output = azureBlob.create(
    {
      ...defaults(),
      container: 'audit',
      blob: 'a.ndjson',
      endpoint: `${service.origin}/contoso`,
      sas_token: 'sv=2026&sig=old',
    },
    { id: 'blob', folder: dir, secretFile: () => file } as never,
  )
  const { send, items } = await opening(t, output)
  const batch = items(numbered(0, 2))
  for (let i = 0; i < 2; i++)
    await t.rejects(send(batch), {
      name: 'RetryableError',
      message: /AuthenticationFailed \(403\) for audit\/a\..*check it, and the clock/,
    })
  writeFileSync(file, 'sv=2026&sig=new')
  await t.rejects(send(batch))
  await send(batch)
  t.equal(textOf(service, FIRST), lines(numbered(0, 2)))
})

t.test('a server that asks for a wait gets it, and one that is silent is given up', async t => {
  const service = await blobService(t)
  service.fault = ({ what }) =>
    what === 'create' ? { status: 503, code: 'ServerBusy', headers: { 'retry-after': '7' } } : undefined
  const { write } = await openedOn(t, withKey(service))
  await t.rejects(write(numbered(0, 1)), { name: 'RetryableError', after: 7000 })
  const down = await openedOn(t, { ...withKey({ origin: 'http://127.0.0.1:1' }) })
  await t.rejects(down.write(numbered(0, 1)), { name: 'RetryableError', message: /azure_blob: no answer from 127.0.0.1:1/ })
})

t.test('a redirect leads to no other host, and no secret stands in an error', async t => {
  const service = await blobService(t)
  const other = await blobService(t)
  const moved = { status: 307, headers: { location: `${other.origin}/contoso/audit/x` } }
  for (const redirected of ['create', 'look']) {
    service.fault = ({ what }) =>
      what === redirected ? moved : what === 'create' ? { status: 409, code: 'BlobAlreadyExists' } : undefined
    const { write } = await openedOn(t, { endpoint: `${service.origin}/contoso`, sas_token: 'sv=2026&sig=planted' })
    const error = (await write(numbered(0, 1)).catch(error => error)) as Error
    t.equal(error.name, 'RetryableError')
    t.match(error.message, /HTTP 307/)
    t.notOk(error.message.includes('planted'))
  }
  t.equal(other.asked.length, 0)
  t.ok(service.asked[0]?.url.includes('sig=planted'), 'the service got it')
})

t.test('a SAS comes as a URL, a token or in a connection string, and a key in one too', async t => {
  const service = await blobService(t)
  const base = `${service.origin}/contoso`
  const ways: JsonObject[] = [
    { sas_url: `${base}/audit?sv=2026&sig=x%2By` },
    { sas_url: `${base}?sv=2026&sig=x%2By` },
    { sas_token: '?sv=2026&sig=x%2By', endpoint: base },
    { connection_string: `BlobEndpoint=${base}/;SharedAccessSignature=sv=2026&sig=x%2By` },
    { connection_string: `DefaultEndpointsProtocol=http;AccountName=contoso;AccountKey=${KEY};BlobEndpoint=${base}` },
  ]
  for (const way of ways) {
    const { write } = await openedOn(t, way)
    await write(numbered(0, 1))
  }
  t.equal(service.blobs.get(FIRST)?.blocks, ways.length)
  for (const { url, headers } of service.asked) {
    if (headers.authorization) t.match(headers.authorization, /^SharedKey contoso:/)
    else t.equal(new URL(url, base).searchParams.get('sig'), 'x+y')
  }
})

t.test('Entra: each request has a token for storage, and one that is refused is renewed', async t => {
  const tls = await selfSigned(['localhost'])
  const service = await blobService(t, tls)
  const tenantId = '11111111-1111-1111-1111-111111111111'
  const clientId = '33333333-3333-3333-3333-333333333333'
  const app = { tenantId, clientId, secret: 'a secret', roles: [] }
  const resources = ['https://storage.azure.com', 'https://storage.example']
  const entra = simulateEntra({ apps: [app], resources, tokenSeconds: 3600, seconds: () => Date.now() / 1000 })
  service.other = ({ method = '', url = '' }, body) => {
    const { pathname } = new URL(url, service.origin)
    return pathname.startsWith('/contoso/') ? undefined : (entra.answer(method, pathname, body, service.origin) as never)
  }
  const audiences: unknown[] = []
  service.fault = ({ headers }) => {
    const claims = entra.verify(String(headers.authorization).replace(/^Bearer /, ''))
    if (!claims) return { status: 401, code: 'InvalidAuthenticationInfo' }
    audiences.push(claims.aud)
    return undefined
  }
  const ca = join(t.testdir({ 'ca.pem': tls.cert }), 'ca.pem')
  const options = {
    ...{ endpoint: `${service.origin}/contoso`, authority_url: service.origin, tenant_id: tenantId, client_id: clientId, ca },
    client_secret: 'a secret',
  }
  const { write } = await openedOn(t, options)
  await write(numbered(0, 2))
  await write(numbered(2, 3))
  t.equal(entra.issued, 1)
  entra.revoke()
  await t.rejects(write(numbered(3, 4)), { name: 'RetryableError', message: /InvalidAuthenticationInfo \(401\)/ })
  await write(numbered(3, 4))
  t.equal(entra.issued, 2)
  t.equal(textOf(service, FIRST), lines(numbered(0, 4)))
  const other = await openedOn(t, { ...options, audience: 'https://storage.example', blob: 'b.ndjson' })
  await other.write(numbered(0, 1))
  t.strictSame([...new Set(audiences)], ['https://storage.azure.com', 'https://storage.example'])
  const wrong = await openedOn(t, { ...options, client_secret: 'another' })
  await t.rejects(wrong.write(numbered(0, 1)), { name: 'RetryableError', message: /azure_blob: Entra gives no token/ })
})

t.test('row 67: names stay below their literal folder, whatever an event says', t => {
  const template = compile('logs/%{a}/%{b:-none}.ndjson', 'blob', NAME_RULES)
  const cases: [JsonObject, RegExp][] = [
    [{ a: '../x' }, /is not one name/],
    [{ a: '..' }, /".." is no name/],
    [{ a: 'x\\y' }, /"\\\\" must not be part of a name/],
    [{ a: 'x\n' }, /"\\n" must not be part/],
    [{ a: 'x.' }, /ends in a dot/],
    [{ a: '\ud800' }, /half a character/],
    [{ a: 'x'.repeat(1100) }, /characters, and \d+ are allowed/],
  ]
  for (const [event, message] of cases) t.throws(() => template.render(event), { code: 'PEN_BLOB_NAME', message })
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), a => {
      let name: string
      try {
        name = template.render({ a })
      } catch {
        return true
      }
      const full = [appended(name, 'abcdefgh', 1), dated(name, 'abcdefgh', 0, 1)]
      return full.every(
        one => one.startsWith('logs/') && one.length <= 1024 && !one.split('/').some(part => /^\.{0,2}$/.test(part)),
      )
    }),
  )
  t.equal(appended('logs/audit.json.gz', 'abcdefgh', 2), 'logs/audit.abcdefgh-0002.json.gz')
  t.equal(appended('a.b/plain', 'abcdefgh', 12_345), 'a.b/plain.abcdefgh-12345')
  t.equal(dated('a.ndjson', 'abcdefgh', Date.UTC(2026, 4, 1), 1), 'a.20260501T000000000Z-abcdefgh-000001.ndjson')
  t.end()
})

t.test('names that a URL would take for something else arrive as they are', async t => {
  const service = await blobService(t)
  const { write } = await openedOn(t, { ...withKey(service), blob: 'out/%{k}.ndjson' })
  const names = ['a b', 'q?x=1', '100%', '#1', 'ü😀', 'a+b', "it's", '%2e%2e', 'a:b']
  await write(names.map(k => ({ k })))
  t.strictSame([...service.blobs.keys()].sort(), names.map(k => `out/${k}.abcdefgh-0001.ndjson`).sort())
})

/** The options that an engine fills in. */
function defaults(): JsonObject {
  const given = Object.entries(azureBlob.options).filter(([, { default: value }]) => value !== undefined)
  return Object.fromEntries(given.map(([name, { default: value }]) => [name, value as string]))
}
