// gzip and zstd, decoded part by part: whole, cut, flipped, with garbage; what comes out, and what is told.
import { createHash } from 'node:crypto'
import { constants, crc32, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { type Damage, isDamage } from '../../plugins/lib/bytes/damage.ts'
import { type Compression, decompress, detectCompression } from '../../plugins/lib/bytes/decompress.ts'
import { type ByteSource, memorySource } from '../../plugins/lib/bytes/source.ts'

/** The same numbers for the same seed. */
function random(seed: number) {
  let state = seed
  return (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * below)
  }
}

/** Text that compresses like logs do: neither away nor not at all. */
function text(lines: number, seed: number): Buffer {
  const pick = random(seed)
  return Buffer.from(
    Array.from({ length: lines }, (_, i) => `{"line":${i},"user":"user${pick(5000)}","op":"Op${pick(40)}"}\n`).join(''),
  )
}

async function decode(bytes: Uint8Array, kind: 'gzip' | 'zstd', source: ByteSource = memorySource(bytes)) {
  const pieces: Buffer[] = []
  const damages: Damage[] = []
  for await (const piece of decompress(source, kind)) {
    if (isDamage(piece)) damages.push(piece)
    else pieces.push(piece as Buffer)
  }
  return { text: Buffer.concat(pieces), damages }
}

const compress = {
  gzip: (bytes: Buffer) => gzipSync(bytes),
  zstd: (bytes: Buffer) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
}

for (const kind of ['gzip', 'zstd'] as const) {
  const parts = [text(300, 1), Buffer.alloc(0), text(5000, 2), text(1, 3), text(2000, 4)]
  const packed = parts.map(compress[kind])
  const whole = Buffer.concat(packed)

  t.test(`${kind}: one part and many decode whole, however the source gives its bytes`, async t => {
    t.equal(detectCompression(whole), kind)
    const pick = random(7)
    const slow: ByteSource = {
      async read(into, at) {
        const part = whole.subarray(at, at + Math.min(into.length, 1 + pick(700)))
        into.set(part)
        return part.length
      },
    }
    for (const [bytes, source] of [[whole], [whole, slow]] as const) {
      const { text: decoded, damages } = await decode(bytes, kind, source)
      t.ok(decoded.equals(Buffer.concat(parts)))
      t.same(damages, [])
    }
    t.same(await decode(Buffer.alloc(0), kind), { text: Buffer.alloc(0), damages: [] })
  })

  t.test(`${kind}: cut at any byte, all that stands before it comes out, and the cut is told`, async t => {
    const data = text(40, 5)
    const two = Buffer.concat([compress[kind](data), compress[kind](data)])
    const first = compress[kind](data).length
    for (let length = 1; length < two.length; length++) {
      const { text: decoded, damages } = await decode(two.subarray(0, length), kind)
      if (length === first) {
        t.same(damages, [])
        t.ok(decoded.equals(data))
        continue
      }
      if (damages.length !== 1 || !damages[0]?.truncated) t.fail(`cut at ${length}`, { damages })
      const expected = Buffer.concat([data, data]).subarray(0, decoded.length)
      if (!decoded.equals(expected) || (length > first && decoded.length < data.length)) t.fail(`cut at ${length}: wrong bytes`)
      const { offset = 0, length: left = 0, bytes = Buffer.alloc(0) } = damages[0] ?? {}
      if (offset + left !== length || !two.subarray(offset, length).equals(bytes))
        t.fail(`cut at ${length}: the rest is not told`)
    }
  })

  t.test(`${kind}: whatever bit is flipped, it is told or changes nothing, and the other parts come out`, async t => {
    const before = text(60, 6)
    const hit = text(60, 7)
    const after = text(60, 8)
    const head = compress[kind](before)
    const middle = compress[kind](hit)
    const tail = compress[kind](after)
    let told = 0
    for (let bit = 0; bit < middle.length * 8; bit += 11) {
      const broken = Buffer.from(middle)
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7))
      const { text: decoded, damages } = await decode(Buffer.concat([head, broken, tail]), kind)
      const place = `bit ${bit & 7} of byte ${bit >> 3}`
      if (!decoded.subarray(0, before.length).equals(before)) t.fail(`${place}: what stands before is gone`)
      if (!decoded.subarray(-after.length).equals(after)) t.fail(`${place}: what stands behind is gone`, { damages })
      if (damages.length > 0) told++
      else if (!decoded.equals(Buffer.concat([before, hit, after]))) t.fail(`${place}: changed in silence`)
      for (const { offset, length } of damages) {
        if (offset < head.length || offset + length > head.length + broken.length)
          t.fail(`${place}: ${offset}+${length} is wrong`)
      }
    }
    t.ok(told > 50, 'the damage was really done')
  })

  t.test(`${kind}: what a damaged part held before the damage comes out to the last byte that can be known`, async t => {
    const data = text(30_000, 9)
    const broken = compress[kind](data)
    const at = broken.length >> 1
    const pick = random(3)
    for (let i = 0; i < 3000; i++) broken[at + i] = pick(256)
    const { text: decoded, damages } = await decode(broken, kind)
    const block = kind === 'zstd' ? 131_072 : 400
    let same = 0
    while (same < decoded.length && decoded[same] === data[same]) same++
    t.ok(same > data.length * (at / broken.length) * 0.9 - block, `${same} of ${data.length}`)
    t.equal(damages.length, 1)
    t.match(damages[0]?.reason, /begins at byte 0 is damaged at byte \d+ \(/)
    t.ok(damages[0]?.gap)
    const { offset = 0, length = 0, bytes, sha256 } = damages[0] as Damage
    t.equal(offset + length, broken.length)
    t.ok(bytes.equals(broken.subarray(offset, offset + 65_536)))
    t.equal(sha256, length > 65_536 ? createHash('sha256').update(broken.subarray(offset)).digest('hex') : undefined)
  })

  t.test(`${kind}: garbage before, between and behind parts is told with its place, and nothing else is lost`, async t => {
    const [a, b] = [text(200, 10), text(3000, 11)] as const
    const [pa, pb] = [compress[kind](a), compress[kind](b)]
    // With a magic in it, so that a false start has to be turned down.
    const magic = pa.subarray(0, 4)
    const garbage = Buffer.concat([Buffer.from('garbage'), magic, Buffer.alloc(100_000, 'x'), magic])
    for (const order of [
      [garbage, pa, pb],
      [pa, garbage, pb],
      [pa, pb, garbage],
    ]) {
      const { text: decoded, damages } = await decode(Buffer.concat(order), kind)
      t.ok(decoded.equals(Buffer.concat([a, b])))
      t.equal(damages.length, 1)
      const start = Buffer.concat(order.slice(0, order.indexOf(garbage))).length
      t.match(damages[0], { offset: start, length: garbage.length, reason: new RegExp(`at byte ${start}$`) })
      t.equal(damages[0]?.sha256, createHash('sha256').update(garbage).digest('hex'))
    }
  })

  t.test(`${kind}: where a part lacks its last bytes, the next one begins too early, and comes out`, async t => {
    const [before, hit, after] = [text(60, 6), text(60, 7), text(60, 8)] as const
    const [head, middle, tail] = [before, hit, after].map(compress[kind]) as [Buffer, Buffer, Buffer]
    const ends = kind === 'gzip' ? 8 : 4
    for (let missing = 1; missing <= ends; missing++) {
      const broken = middle.subarray(0, middle.length - missing)
      const { text: decoded, damages } = await decode(Buffer.concat([head, broken, tail]), kind)
      t.ok(decoded.equals(Buffer.concat([before, hit, after])), `${missing} bytes`)
      const left = ends - missing
      const offset = head.length + broken.length - left
      t.match(damages, [{ offset, length: left, gap: false, reason: /does not match its checksum/ }], `${missing} bytes`)
    }
  })

  t.test(`${kind}: what is made of beginnings inside each other takes a time that grows as it does`, async t => {
    // Each decodes up to the end, and fails there.
    const [nested, most] = kind === 'gzip' ? ['1f8b0800000000000003000a00f5ff', 1000] : ['28b52ffd0058300000', 100]
    const bytes = Buffer.alloc(kind === 'gzip' ? 200_000 : 6000, Buffer.from(nested as string, 'hex'))
    const whole = memorySource(bytes)
    let read = 0
    const counting: ByteSource = {
      async read(into, at) {
        const got = await whole.read(into, at)
        read += got
        return got
      },
    }
    const { damages } = await decode(bytes, kind, counting)
    t.equal(damages.at(-1)?.truncated, true)
    t.ok(read < bytes.length * (most as number), `each byte was read ${Math.round(read / bytes.length)} times`)
  })

  t.test(`${kind}: a bomb is given in small pieces, and may be left in the middle`, async t => {
    const bomb = compress[kind](Buffer.alloc(64 << 20))
    t.ok(bomb.length < 70_000)
    let largest = 0
    let total = 0
    for await (const piece of decompress(memorySource(bomb), kind)) {
      if (isDamage(piece)) throw new Error(piece.reason)
      largest = Math.max(largest, piece.length)
      total += piece.length
      if (total > 48 << 20) break
    }
    t.ok(largest <= 131_072)
  })
}

t.test('gzip: header fields are stepped over, and their checksum is looked at', async t => {
  const data = text(50, 12)
  const sums = Buffer.alloc(8)
  sums.writeUInt32LE(crc32(data))
  sums.writeUInt32LE(data.length, 4)
  const extra = Buffer.alloc(3000, 'e')
  const length = Buffer.of(extra.length & 255, extra.length >> 8)
  const name = Buffer.from(`${'long-name-'.repeat(600)}.log\0a comment\0`)
  const fixed = Buffer.of(0x1f, 0x8b, 8, 2 | 4 | 8 | 16, 0, 0, 0, 0, 0, 3)
  const header = Buffer.concat([fixed, length, extra, name])
  const check = Buffer.alloc(2)
  check.writeUInt16LE(crc32(header) & 0xffff)
  t.same(await decode(Buffer.concat([header, check, deflateRawSync(data), sums]), 'gzip'), { text: data, damages: [] })
  const wrong = await decode(Buffer.concat([header, Buffer.of(0, 0), deflateRawSync(data), sums]), 'gzip')
  t.equal(wrong.text.length, 0)
  t.match(wrong.damages, [{ reason: 'no gzip member begins at byte 0' }])
})

t.test('gzip: where a header lacks bytes, the members behind it come out', async t => {
  const data = text(50, 18)
  const empty = gzipSync('')
  for (let from = 3; from < 10; from++) {
    for (let to = from + 1; to <= 10; to++) {
      const broken = Buffer.concat([empty.subarray(0, from), empty.subarray(to)])
      const { text: decoded, damages } = await decode(Buffer.concat([broken, gzipSync(data), gzipSync(data)]), 'gzip')
      if (!decoded.subarray(-2 * data.length).equals(Buffer.concat([data, data])))
        t.fail(`without bytes ${from} to ${to}`, { damages })
      if (damages.length === 0) t.fail(`without bytes ${from} to ${to}: nothing is told`)
    }
  }
})

t.test('gzip: which of many false beginnings is tried does not hang on how the source gives its bytes', async t => {
  const nested = '1f8b0800000000000003000a00f5ff'
  const broken = '1f8b0800000000000003ff'
  // All run on into what is broken, but for the last one, which is cut off.
  const bytes = Buffer.from(`${broken}${nested.repeat(200)}${broken}${nested}61626364`, 'hex')
  const whole = memorySource(bytes)
  const { damages } = await decode(bytes, 'gzip', { read: (into, at) => whole.read(into.subarray(0, 1), at) })
  t.match(damages, [
    { offset: 10, length: 3012 },
    { offset: bytes.length, length: 0, truncated: true },
  ])
  t.same((await decode(bytes, 'gzip')).damages, damages)
})

t.test('gzip: zeros behind the last member are padding, other bytes behind them are told', async t => {
  const data = text(50, 13)
  const padded = Buffer.concat([gzipSync(data), Buffer.alloc(300_000)])
  t.same(await decode(padded, 'gzip'), { text: data, damages: [] })
  const { damages } = await decode(Buffer.concat([padded, Buffer.from('x')]), 'gzip')
  t.match(damages, [{ offset: gzipSync(data).length, length: 300_001 }])
})

t.test('gzip: a wrong checksum is told, and what was decoded stays joined to what follows', async t => {
  const data = text(50, 14)
  const broken = gzipSync(data)
  broken[broken.length - 8] = (broken[broken.length - 8] as number) ^ 1
  const { text: decoded, damages } = await decode(Buffer.concat([broken, gzipSync(data)]), 'gzip')
  t.ok(decoded.equals(Buffer.concat([data, data])))
  t.match(damages, [{ reason: /does not match its checksum/, gap: false, length: 8, offset: broken.length - 8 }])
})

t.test('zstd: skippable frames are stepped over, a cut one is told', async t => {
  const data = text(50, 15)
  const skippable = Buffer.concat([Buffer.from('5e2a4d18a0860100', 'hex'), Buffer.alloc(100_000, 's')])
  const packed = Buffer.concat([skippable, zstdCompressSync(data), skippable, zstdCompressSync(data)])
  t.equal(detectCompression(packed), 'zstd')
  t.same(await decode(packed, 'zstd'), { text: Buffer.concat([data, data]), damages: [] })
  const { damages } = await decode(Buffer.concat([zstdCompressSync(data), skippable.subarray(0, 5000)]), 'zstd')
  t.match(damages, [{ truncated: true, reason: /is cut off/ }])
})

t.test('zstd: a frame that ends before all of its content came is told', async t => {
  const data = text(50, 19)
  // 16 bytes, says the header; then comes an empty last block.
  const short = Buffer.from('28b52ffd2010010000', 'hex')
  const { text: decoded, damages } = await decode(Buffer.concat([short, compress.zstd(data)]), 'zstd')
  t.ok(decoded.equals(data))
  t.match(damages, [{ offset: short.length, length: 0, gap: true, reason: /begins at byte 0 ends with 0 of 16 bytes$/ }])
})

t.test('zstd: what a part without a checksum took of the next frame is found behind it', async t => {
  const pick = random(20)
  const noise = Buffer.from(Array.from({ length: 300 }, () => pick(256)))
  const data = text(50, 21)
  const raw = zstdCompressSync(noise)
  // Three bytes are missing, and those of the next frame's magic are taken for them.
  const lacking = Buffer.concat([raw.subarray(0, 100), raw.subarray(103)])
  const skippable = Buffer.from('502a4d1804000000', 'hex')
  for (const part of [lacking, skippable]) {
    const { text: decoded, damages } = await decode(Buffer.concat([part, compress.zstd(data), compress.zstd(data)]), 'zstd')
    t.ok(decoded.subarray(-2 * data.length).equals(Buffer.concat([data, data])))
    t.match(damages, [{ offset: part.length, length: 0, gap: true, reason: /^no zstd frame begins at byte/ }])
  }
  // A packed file inside of a block is content, also where garbage follows.
  const inside = zstdCompressSync(Buffer.concat([noise, compress.zstd(data), noise]))
  const result = await decode(Buffer.concat([inside, Buffer.from('garbage')]), 'zstd')
  t.ok(result.text.equals(Buffer.concat([noise, compress.zstd(data), noise])))
  t.match(result.damages, [{ offset: inside.length, length: 7 }])
})

t.test('zstd: a frame that a damaged block swallowed comes out', async t => {
  const data = text(50, 16)
  const hidden = compress.zstd(data)
  const header = Buffer.alloc(3)
  // A raw block that is said to be longer than it is.
  header.writeUIntLE((hidden.length + 500) << 3, 0, 3)
  const frame = Buffer.concat([Buffer.from('28b52ffd0058', 'hex'), header, Buffer.from('some raw bytes')])
  const behind = compress.zstd(text(3000, 17))
  const { text: decoded, damages } = await decode(Buffer.concat([frame, hidden, behind]), 'zstd')
  t.ok(decoded.subarray(-data.length - text(3000, 17).length).equals(Buffer.concat([data, text(3000, 17)])))
  t.match(damages, [{ offset: frame.length, length: 0, gap: true }])
})

t.test('what has no magic is taken as it is', async t => {
  const none: Compression = 'none'
  for (const bytes of ['', '{', '{"a":1}', '\x1f', '\x1f\x8b']) t.equal(detectCompression(Buffer.from(bytes, 'latin1')), none)
})
