// UTF-16 to UTF-8 in pieces of any size, and which encoding a text's first bytes have.
import t from 'tap'
import { detectEncoding, type Encoding, utf16ToUtf8 } from '../../plugins/lib/bytes/encoding.ts'

const TEXTS = ['', 'a', '{"user":"Jürgen","city":"東京"}\n', '😀', 'x😀y\u0000z', 'Ā\uffff']

function encode(text: string, encoding: 'utf-16le' | 'utf-16be'): Buffer {
  const bytes = Buffer.from(text, 'utf16le')
  return encoding === 'utf-16le' ? bytes : bytes.swap16()
}

function transcode(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be', size: number) {
  const transcoder = utf16ToUtf8(encoding)
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) parts.push(Buffer.from(transcoder.push(bytes.subarray(at, at + size))))
  const { text, rest } = transcoder.end()
  return { text: Buffer.concat([...parts, text]).toString(), rest: [...rest] }
}

for (const encoding of ['utf-16le', 'utf-16be'] as const) {
  t.test(`${encoding}: whatever the pieces, the text is the same, surrogates and all`, async t => {
    for (const text of [...TEXTS, TEXTS.join('').repeat(20)]) {
      for (const size of [1, 2, 3, 5, 64, 100_000]) t.same(transcode(encode(text, encoding), encoding, size), { text, rest: [] })
    }
  })

  t.test(`${encoding}: an unpaired surrogate becomes a replacement character, half a unit at the end is told`, async t => {
    for (const size of [1, 2, 3, 100]) {
      t.same(transcode(encode('a\ud83d', encoding), encoding, size), { text: 'a\ufffd', rest: [] })
      t.same(transcode(encode('\ud83db\ude00', encoding), encoding, size), { text: '\ufffdb\ufffd', rest: [] })
      t.same(transcode(Buffer.concat([encode('ab', encoding), Buffer.of(7)]), encoding, size), { text: 'ab', rest: [7] })
      const both = Buffer.concat([encode('a\ud83d', encoding), Buffer.of(7)])
      t.same(transcode(both, encoding, size), { text: 'a\ufffd', rest: [7] })
    }
  })
}

t.test('an encoding is known by its mark, else by its zero bytes', async t => {
  const csv = 'Дата,Пользователь,Операция\n'
  const cases: [string, Buffer, Encoding, number][] = [
    ['nothing', Buffer.alloc(0), 'utf-8', 0],
    ['ASCII', Buffer.from('{"a":1}'), 'utf-8', 0],
    ['UTF-8', Buffer.from(csv), 'utf-8', 0],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${csv}`), 'utf-8', 3],
    ['UTF-8 with a NUL', Buffer.from('{"a":"\0"}'), 'utf-8', 0],
    ['UTF-16LE', encode('{"a":1}', 'utf-16le'), 'utf-16le', 0],
    ['UTF-16LE with a mark', encode(`\ufeff${csv}`, 'utf-16le'), 'utf-16le', 2],
    ['UTF-16LE, hardly any Latin letter', encode('{"名":"東京都東"}\n', 'utf-16le'), 'utf-16le', 0],
    ['UTF-16BE', encode('{"a":1}', 'utf-16be'), 'utf-16be', 0],
    ['UTF-16BE with a mark', encode(`\ufeff${csv}`, 'utf-16be'), 'utf-16be', 2],
  ]
  for (const [name, bytes, encoding, bom] of cases) t.same(detectEncoding(bytes), { encoding, bom }, name)
})

t.test('an encoding that is given counts, and its mark is still no text', async t => {
  t.same(detectEncoding(Buffer.from('a\0b\0'), 'utf-8'), { encoding: 'utf-8', bom: 0 })
  t.same(detectEncoding(encode('\ufeffДа', 'utf-16le'), 'utf-16le'), { encoding: 'utf-16le', bom: 2 })
  t.same(detectEncoding(encode('\ufeffДа', 'utf-16be'), 'utf-16le'), { encoding: 'utf-16le', bom: 0 })
  t.same(detectEncoding(encode('Да', 'utf-16le'), 'utf-16le'), { encoding: 'utf-16le', bom: 0 })
})
