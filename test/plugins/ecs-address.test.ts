// Addresses in every form in which Microsoft's records hold them.
import { isIP } from 'node:net'
import t from 'tap'
import { type Address, readAddress } from '../../plugins/lib/microsoft/address.ts'
import { fc } from '../kit/rounds.ts'

const v4 = (ip: string): Address => ({ ip, address: ip, version: 'ipv4' })
const v6 = (ip: string): Address => ({ ip, address: ip, version: 'ipv6' })

t.test('forms that were seen', t => {
  const forms: [unknown, Address | undefined][] = [
    ['192.0.2.13', v4('192.0.2.13')],
    ['[192.0.2.13]', v4('192.0.2.13')],
    ['::ffff:192.0.2.13', v4('192.0.2.13')],
    ['::FFFF:192.0.2.13', v4('192.0.2.13')],
    ['192.0.2.13:12345', { ...v4('192.0.2.13'), port: 12345 }],
    ['[192.0.2.13]:12345', { ...v4('192.0.2.13'), port: 12345 }],
    ['[::ffff:192.0.2.13]:12345', { ...v4('192.0.2.13'), port: 12345 }],
    ['203.0.113.200:12345', { ...v4('203.0.113.200'), port: 12345 }],
    [' 192.0.2.13\r\n', v4('192.0.2.13')],
    ['2001:db8::6fc6', v6('2001:db8::6fc6')],
    ['2001:DB8::6FC6', v6('2001:DB8::6FC6')],
    ['[2001:db8::6fc6]', v6('2001:db8::6fc6')],
    ['[2001:db8::6fc6]:12345', { ...v6('2001:db8::6fc6'), port: 12345 }],
    ['2001:db8:1:2:3:4:5:6:443', { ...v6('2001:db8:1:2:3:4:5:6'), port: 443 }],
    ['2001:db8::1:12345', { ...v6('2001:db8::1'), port: 12345 }],
    ['2001:db8::1:443', v6('2001:db8::1:443')],
    ['::1', v6('::1')],
    ['fe80::1%eth0', v6('fe80::1')],
    ['localhost', { domain: 'localhost' }],
    ['localhost:12345', { domain: 'localhost:12345' }],
    ['[localhost]:12345', { domain: '[localhost]:12345' }],
    ['cool.client.example:12345', { domain: 'cool.client.example:12345' }],
    ['NAME (192.0.2.13)', { ...v4('192.0.2.13'), domain: 'NAME' }],
    ['[NAME (192.0.2.13)]', { ...v4('192.0.2.13'), domain: 'NAME' }],
    ['NAME (192.0.2.13)\r\n', { ...v4('192.0.2.13'), domain: 'NAME' }],
    ['NAME (2001:db8::1)', { ...v6('2001:db8::1'), domain: 'NAME' }],
    ['NAME (192.900.2.13)', { domain: 'NAME', address: '192.900.2.13' }],
    ['NAME (15.20.4200.000)', { domain: 'NAME', address: '15.20.4200.000' }],
    ['NAME ()', { domain: 'NAME' }],
    ['(192.0.2.13)', { domain: '(192.0.2.13)' }],
    ['192.0.2.999', { domain: '192.0.2.999' }],
    ['192.0.2.1.5', { domain: '192.0.2.1.5' }],
    ['192.0.2', { domain: '192.0.2' }],
    ['192.0.02.13', { domain: '192.0.02.13' }],
    ['192.0.2.13:99999', v4('192.0.2.13')],
    ['192.0.2.13:', v4('192.0.2.13')],
    ['192.0.2.13:http', { domain: '192.0.2.13:http' }],
    ['[2001:db8::1]:http', { domain: '[2001:db8::1]:http' }],
    ['[192.0.2.13', { domain: '[192.0.2.13' }],
    ['[]', { domain: '[]' }],
    [':', { domain: ':' }],
    ['', undefined],
    ['  ', undefined],
    ['<null>', undefined],
    [null, undefined],
    [17, undefined],
    [['192.0.2.13'], undefined],
  ]
  for (const [text, address] of forms) {
    t.strictSame(readAddress(text), address, JSON.stringify(text))
    t.strictSame(readAddress(text), address, `${JSON.stringify(text)}, remembered`)
  }
  t.end()
})

const port = fc.integer({ min: 0, max: 65535 })
const padding = fc.constantFrom('', ' ', '\n', '\r\n')

t.test('an address is found whatever stands around it', t => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), port, fc.boolean(), fc.boolean(), padding, (ip, port, withPort, named, end) => {
      const six = ip.includes(':')
      // IPv6 that holds IPv4 is read as what it holds.
      const expected = /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(ip) ? ip.slice(7) : ip
      const text = named
        ? `AM0PR04 (${ip})${end}`
        : withPort
          ? six
            ? `[${ip}]:${port}${end}`
            : `${ip}:${port}${end}`
          : `${ip}${end}`
      const found = readAddress(text)
      if (found?.ip !== expected || found.address !== expected) return false
      if (found.version !== (expected.includes(':') ? 'ipv6' : 'ipv4')) return false
      return found.port === (withPort && !named ? port : undefined) && found.domain === (named ? 'AM0PR04' : undefined)
    }),
    { numRuns: 2000 },
  )
  t.pass('2,000 addresses')
  t.end()
})

t.test('any text gives a valid address or none, and a port only with an address', t => {
  const text = fc.oneof(fc.string(), fc.stringMatching(/^[[\]():. 0-9a-f%]{0,40}$/))
  fc.assert(
    fc.property(text, value => {
      const found = readAddress(value)
      if (!found) return value.trim() === '' || value.trim() === '<null>' || !/[^\0-\x20]/.test(value)
      if (found.ip !== undefined && isIP(found.ip) !== (found.version === 'ipv4' ? 4 : 6)) return false
      if (found.port !== undefined && (found.ip === undefined || found.port < 0 || found.port > 65535)) return false
      return found.ip !== undefined || found.domain !== undefined
    }),
    { numRuns: 5000 },
  )
  t.pass('5,000 texts')
  t.end()
})
