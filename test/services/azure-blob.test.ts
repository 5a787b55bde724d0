// The output azure_blob on Azurite: keys and SAS, blobs that roll, answers that are lost, and kills on both sides that lose nothing.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import type { ContainerClient } from '@azure/storage-blob'
import t, { type Test } from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { scratch } from '../kit/kill-run.ts'
import { start as startProgram } from '../kit/process.ts'
import { full, randomOf } from '../kit/rounds.ts'
import { tcpProxy } from '../kit/tcp-proxy.ts'
import { until } from '../kit/until.ts'
import { lines, numbered, openedOn } from '../plugins/azure-blob-support.ts'
import { ACCOUNT, ACCOUNT_KEY, type Azurite, azuriteMissing, endpointOn, startAzurite } from './azurite/server.ts'

t.setTimeout(3_000_000)

const skip = azuriteMissing() ?? false
const SIZE = full ? { records: 100_000, kills: 30 } : { records: 20_000, kills: 3 }
const WITH_KEY = { account: ACCOUNT, account_key: ACCOUNT_KEY, create_container: true }

/** A running Azurite, and its container `audit` as a client sees it. */
async function azuriteIn(t: Test): Promise<Azurite & { audit: ContainerClient; options: JsonObject }> {
  const azurite = await startAzurite(t, { folder: scratch(t) })
  return { ...azurite, audit: await clientOf(azurite), options: { ...WITH_KEY, endpoint: azurite.endpoint } }
}

async function clientOf({ endpoint }: Pick<Azurite, 'endpoint'>): Promise<ContainerClient> {
  const { ContainerClient, StorageSharedKeyCredential } = await import('@azure/storage-blob')
  return new ContainerClient(`${endpoint}/audit`, new StorageSharedKeyCredential(ACCOUNT, ACCOUNT_KEY))
}

/** Every blob by its name, in the order of the names. */
async function contents(client: ContainerClient): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>()
  for await (const { name } of client.listBlobsFlat()) found.set(name, await client.getBlobClient(name).downloadToBuffer())
  return found
}

t.test(
  'with a key: the container is made, one blob grows, also after a restart, and another engine has its own',
  { skip },
  async t => {
    const { audit, options } = await azuriteIn(t)
    const mine = new Map()
    for (let n = 0; n < 6; n += 2) {
      const { write } = await openedOn(t, options, mine)
      await write(numbered(n, n + 1))
      await write(numbered(n + 1, n + 2))
    }
    const theirs = await openedOn(t, options, new Map())
    await theirs.write(numbered(6, 7))
    const found = await contents(audit)
    const own = `a.${mine.get('writer')}-0001.ndjson`
    t.equal(found.size, 2)
    t.equal(found.get(own)?.toString(), lines(numbered(0, 6)))
    const { blobType, contentType, blobCommittedBlockCount } = await audit.getBlobClient(own).getProperties()
    t.match(
      { blobType, contentType, blobCommittedBlockCount },
      { blobType: 'AppendBlob', contentType: 'application/x-ndjson', blobCommittedBlockCount: 6 },
    )
  },
)

t.test('with a SAS: read, add, create and write are enough, and less is told of', { skip }, async t => {
  const { audit, options, endpoint } = await azuriteIn(t)
  await audit.create()
  const { ContainerSASPermissions, generateBlobSASQueryParameters, StorageSharedKeyCredential } = await import(
    '@azure/storage-blob'
  )
  const sasOf = (permissions: string) =>
    generateBlobSASQueryParameters(
      {
        containerName: 'audit',
        permissions: ContainerSASPermissions.parse(permissions),
        expiresOn: new Date(Date.now() + 3_600_000),
      },
      new StorageSharedKeyCredential(ACCOUNT, ACCOUNT_KEY),
    ).toString()
  const sas = sasOf('racw')
  const ways: JsonObject[] = [
    { sas_url: `${endpoint}/audit?${sas}` },
    { sas_token: sas, endpoint },
    { connection_string: `BlobEndpoint=${endpoint};SharedAccessSignature=${sas}` },
    {
      connection_string: `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${ACCOUNT_KEY};BlobEndpoint=${endpoint}`,
    },
  ]
  for (const [n, way] of ways.entries()) {
    const { write } = await openedOn(t, way)
    await write(numbered(n, n + 1))
  }
  t.equal((await contents(audit)).get('a.abcdefgh-0001.ndjson')?.toString(), lines(numbered(0, ways.length)))
  const poor = await openedOn(t, { sas_token: sasOf('r'), endpoint: options['endpoint'] as string })
  await t.rejects(poor.write(numbered(0, 1)), { name: 'RetryableError', message: /\(403\)/ })
  const wrong = await openedOn(t, { ...options, account_key: Buffer.from('wrong').toString('base64') })
  await t.rejects(wrong.write(numbered(0, 1)), { name: 'RetryableError', message: /AuthorizationFailure|AuthenticationFailed/ })
})

t.test(
  'packed batches are read as one, names are what events say, and a full blob is followed by the next',
  { skip },
  async t => {
    const { audit, options } = await azuriteIn(t)
    const own = { ...options, blob: 'out/%{k}.ndjson.gz', compression: 'gzip', max_blocks: 2 }
    for (let round = 0; round < 3; round++) {
      const { write } = await openedOn(t, own)
      for (let n = round * 3; n < round * 3 + 3; n++) await write(['a b?', 'ü#%'].map(k => ({ k, n })))
    }
    const found = await contents(audit)
    t.equal(found.size, 10)
    for (const k of ['a b?', 'ü#%']) {
      const all = [...found]
        .filter(([name]) => name.startsWith(`out/${k}.abcdefgh-`))
        .map(([, bytes]) => gunzipSync(bytes).toString())
      t.equal(all.join(''), lines(Array.from({ length: 9 }, (_, n) => ({ k, n }))))
    }
    const table = await openedOn(t, { ...options, blob: 'table.csv', format: 'csv', columns: ['n'], rotate_bytes: 1024 })
    for (let n = 0; n < 1000; n += 100) await table.write(numbered(n, n + 100))
    const tables = [...(await contents(audit))].filter(([name]) => name.startsWith('table'))
    t.ok(tables.length > 2)
    t.ok(tables.every(([, bytes]) => bytes.toString().startsWith('n\r\n') && bytes.length <= 1024))
    t.equal(
      tables.map(([, bytes]) => bytes.toString().replace('n\r\n', '')).join(''),
      numbered(0, 1000)
        .map(({ n }) => `${n}\r\n`)
        .join(''),
    )
  },
)

t.test('a batch whose answer is lost is there once, in blobs of both types', { skip }, async t => {
  const { audit, options, port } = await azuriteIn(t)
  await audit.create()
  const proxy = await tcpProxy({ port })
  t.teardown(() => proxy.close())
  for (const blob_type of ['append', 'block']) {
    for (const loss of ['cut', 'drop'] as const) {
      const name = `${blob_type}-${loss}`
      const { write, send, items } = await openedOn(t, {
        ...options,
        ...{ endpoint: endpointOn(proxy.port), blob: `${name}.ndjson`, blob_type, timeout_ms: 1_000 },
      })
      await write(numbered(0, 2))
      const batch = items(numbered(2, 5))
      let lost = 0
      proxy.answer(() => {
        lost++
        return loss
      })
      await t.rejects(send(batch), { name: 'RetryableError' })
      t.ok(lost > 0, 'it was done, and its answer lost')
      proxy.answer(() => 'pass')
      await send(batch)
      await write(numbered(5, 6))
      const found = [...(await contents(audit))].filter(([blob]) => blob.startsWith(name))
      t.equal(found.map(([, bytes]) => bytes.toString()).join(''), lines(numbered(0, 6)), name)
      t.equal(found.length, blob_type === 'append' ? 1 : 3)
    }
  }
})

t.test('a JSON array a batch, each whole', { skip }, async t => {
  const { audit, options } = await azuriteIn(t)
  const { write } = await openedOn(t, { ...options, blob: 'days/%{+yyyy-MM-dd}.json', blob_type: 'block', format: 'json' })
  const records = numbered(0, 6).map(record => ({ '@timestamp': '2026-05-01T10:00:00Z', ...record }))
  await write(records.slice(0, 2))
  await write(records.slice(2))
  const found = await contents(audit)
  t.equal(found.size, 2)
  t.strictSame(
    [...found.values()].flatMap(bytes => JSON.parse(bytes.toString())),
    records,
  )
})

t.test(`${SIZE.records} records, program and Azurite killed ${SIZE.kills} times each: none is lost`, { skip }, async t => {
  const folder = scratch(t)
  const random = randomOf(730)
  const data = join(folder, 'azurite')
  let azurite = await startAzurite(t, { folder: data })
  const { port } = azurite
  const proxy = await tcpProxy({ port })
  t.teardown(() => proxy.close())
  let sent = 0
  proxy.request(piece => {
    sent += piece.length
    return 'pass'
  })
  const text = lines(numbered(0, SIZE.records).map(record => ({ ...record, text: 'x'.repeat(200) })))
  writeFileSync(join(folder, 'in.ndjson'), text)
  mkdirSync(join(folder, 'state'))
  writeFileSync(
    join(folder, 'pipeline.yaml'),
    JSON.stringify({
      name: 'killed',
      inputs: [{ type: 'file', paths: ['in.ndjson'] }],
      outputs: [
        {
          ...{ type: 'azure_blob', ...WITH_KEY, endpoint: endpointOn(proxy.port), container: 'audit', blob: 'killed.ndjson' },
          ...{ max_blocks: 40, timeout_ms: 2_000, batch: { max_events: 100, max_ms: 20 }, retry: { min_ms: 50, max_ms: 500 } },
        },
      ],
    }),
  )
  const begin = () => startProgram(['run', 'pipeline.yaml', '--no-progress'], { cwd: folder })
  let program = begin()
  t.teardown(() => program.child.kill('SIGKILL'))
  const running = () => program.child.exitCode === null && program.child.signalCode === null
  const moved = (bytes: number) => {
    const goal = sent + bytes
    const why = () => 'nothing goes to Azurite'
    return until(() => sent >= goal || !running(), why, { ms: 120_000 })
  }
  const share = (text.length * 0.8) / (SIZE.kills * 2)
  let kills = 0
  for (let round = 0; round < SIZE.kills; round++) {
    await moved(share * (0.5 + random()))
    // Nothing is confirmed from here on, so that what was confirmed can be written to the disk before the kill.
    proxy.answer(() => 'drop')
    await azurite.flushed()
    if (!running()) break
    await azurite.kill()
    proxy.cut()
    azurite = await startAzurite(t, { folder: data, port })
    proxy.answer(() => 'pass')
    await moved(share * 0.5 * random())
    if (!running()) break
    program.child.kill('SIGKILL')
    await program.ended
    program = begin()
    kills++
  }
  const { code, stdout, stderr } = await program.ended
  t.equal(code, 0, stderr)
  t.equal(kills, SIZE.kills, 'the work was not over before')
  const found = new Map<number, number>()
  const blobs = await contents(await clientOf(azurite))
  for (const bytes of blobs.values()) {
    const rows = bytes.toString().split('\n')
    t.equal(rows.pop(), '', 'no line is torn')
    for (const row of rows) {
      const { n } = JSON.parse(row) as { n: number }
      found.set(n, (found.get(n) ?? 0) + 1)
    }
  }
  const missing = numbered(0, SIZE.records).filter(({ n }) => !found.has(n as number))
  t.strictSame(missing, [])
  const twice = [...found.values()].reduce((sum, count) => sum + count - 1, 0)
  t.comment(`${kills} kills of both; ${blobs.size} blobs, ${twice} events there again; ${stdout.replace(/\s+/g, ' ')}`)
})
