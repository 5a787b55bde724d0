// Templates: what is filled in, what is refused, and that no event leads a path out of its folder.
import { resolve, sep } from 'node:path'
import t from 'tap'
import type { JsonObject } from '../../core/plugin/json.ts'
import { compile } from '../../plugins/lib/template.ts'
import { pathRules } from '../../plugins/outputs/file/path-rules.ts'
import { fc } from '../kit/rounds.ts'

const path = (text: string, windows = false) => compile(text, 'path', pathRules(0, windows))
const render = (text: string, fields: JsonObject) => path(text).render(fields)

t.test('places are filled with the values of fields', t => {
  const fields = { event: { dataset: 'o365.audit', code: 7, ok: true }, user: { name: 'ada', roles: ['admin'], 'a.b': 'dotted' } }
  t.equal(render('out/%{event.dataset}.ndjson', fields), 'out/o365.audit.ndjson')
  t.equal(render('out/%{event.code}-%{event.ok}/%{user.roles}', fields), 'out/7-true/admin')
  t.equal(render('out/%{user["a.b"]}-%{user.roles[0]}', fields), 'out/dotted-admin')
  t.equal(render('out/%{user["}"]:-brace}', fields), 'out/brace')
  t.equal(render('/var/log/%{user.name}/x', fields), '/var/log/ada/x')
  t.equal(render('../out/%{user.name}', fields), '../out/ada')
  t.equal(render('out/plain.ndjson', {}), 'out/plain.ndjson')
  t.end()
})

t.test('the prefix and the fields are known', t => {
  const template = path('out/a-%{event.dataset}/%{+yyyy}-%{event.dataset}')
  t.equal(template.literalPrefix, 'out/a-')
  t.strictSame(template.fields, ['event.dataset', '@timestamp'])
  t.strictSame(path('out/x').fields, [])
  t.equal(path('out/x').literalPrefix, 'out/x')
  t.end()
})

t.test('times are UTC and their patterns those that Logstash and Java know', t => {
  const at = (format: string, time: unknown) => render(`out/%{+${format}}`, { '@timestamp': time })
  const cases: [format: string, time: unknown, text: string][] = [
    ['yyyy.MM.dd', '2026-05-01T10:15:30.123Z', 'out/2026.05.01'],
    ['YYYY.MM.dd', '2026-12-31T23:59:59.999Z', 'out/2026.12.31'],
    ['yyyy/MM/dd-HH', '2026-05-01T10:15:30Z', 'out/2026/05/01-10'],
    ["yyyyMMdd'T'HHmmss.SSS", '2026-05-01T10:15:30.1234567Z', 'out/20260501T101530.123'],
    ["'it''s' yy", '2026-05-01T10:15:30Z', "out/it's 26"],
    ['yyyy-MM-dd', '2026-05-01T23:30:00-02:00', 'out/2026-05-02'],
    ['yyyy-MM-dd-HH', '2026-05-01T10:15:30+0530', 'out/2026-05-01-04'],
    // Microsoft's times without a zone are UTC.
    ['yyyy-MM-dd-HH', '2026-05-01T23:15:30', 'out/2026-05-01-23'],
    ['yyyy-MM-dd', '2026-05-01', 'out/2026-05-01'],
    ['yyyy-MM-dd-HH', Date.UTC(2026, 4, 1, 7), 'out/2026-05-01-07'],
    // ISO weeks and days of the year at their edges.
    ["xxxx-'W'ww", '2027-01-03T12:00:00Z', 'out/2026-W53'],
    ["xxxx-'W'ww", '2027-01-04T00:00:00Z', 'out/2027-W01'],
    ["xxxx-'W'ww", '2024-12-30T00:00:00Z', 'out/2025-W01'],
    ['yyyy-DDD', '2024-12-31T00:00:00Z', 'out/2024-366'],
  ]
  for (const [format, time, text] of cases) t.equal(at(format, time), text, `${format} ${time}`)
  t.equal(render('out/%{event.created:yyyy}', { event: { created: '2025-01-01T00:00:00Z' } }), 'out/2025')
  for (const time of ['yesterday', '2026-13-01T00:00:00Z', '1', {}, true, Number.NaN, 1e300, '']) {
    t.throws(() => at('yyyy', time), { name: 'PermanentError', code: 'PEN_PATH' }, `${time} is no time`)
  }
  t.end()
})

t.test('the time of one event is not given to another', t => {
  const template = path('out/%{+yyyy-MM-dd}/%{user}')
  const day = (time: string, user: string) => template.render({ '@timestamp': time, user })
  for (let round = 0; round < 3; round++) {
    t.equal(day('2026-05-01T10:00:00Z', 'a'), 'out/2026-05-01/a')
    t.equal(day('2026-05-02T10:00:00Z', 'a'), 'out/2026-05-02/a')
    t.equal(day('2026-05-02T10:00:00Z', 'b'), 'out/2026-05-02/b')
    t.throws(() => day('2026-05-02T10:00:00Z', '../b'))
    t.throws(() => day('never', 'b'))
  }
  const hour = (time: string) => path('out/%{+HH}').render({ '@timestamp': time })
  const hours = path('out/%{+yyyy-MM-dd-HH}')
  for (let round = 0; round < 2; round++) {
    t.throws(() => hours.render({ '@timestamp': '2026-05-01T10' }), 'an hour alone is no time')
    t.equal(hours.render({ '@timestamp': '2026-05-01T10:00:00Z' }), 'out/2026-05-01-10')
    t.equal(hours.render({ '@timestamp': '2026-05-01T10:00:00' }), 'out/2026-05-01-10')
    t.equal(hours.render({ '@timestamp': '2026-05-01T10:00+02' }), 'out/2026-05-01-08')
    t.equal(hours.render({ '@timestamp': '2026-05-01T10:00:00+02:00' }), 'out/2026-05-01-08')
    t.equal(hour('2026-05-01 23:59'), 'out/23')
  }
  t.end()
})

t.test('a missing field takes the default, and without one the event is refused', t => {
  for (const user of [undefined, null, '', [], [null]]) {
    t.equal(render('out/%{user:-nobody}', { user }), 'out/nobody')
    t.throws(() => render('out/%{user}', { user }), { message: /no field "user"; give the template a default: %{user:-unknown}/ })
  }
  t.equal(render('out/%{+yyyy:-undated}', {}), 'out/undated')
  t.throws(() => render('out/%{user}', { user: {} }), { message: /"user" is an object/ })
  t.throws(() => render('out/%{user}', { user: ['a', 'b'] }), { message: /"user" is a list of 2 values/ })
  t.end()
})

t.test('a template that cannot work is refused at check', t => {
  const cases: [text: string, reason: RegExp][] = [
    ['%{user}/a.ndjson', /needs a folder before its first %{…}/],
    ['/%{user}', /needs a folder/],
    ['./%{user}', /needs a folder/],
    ['audit-%{user}', /needs a folder/],
    ['out/%{user', /%{ at character 5 has no closing }/],
    ['out/%{}', /names no field/],
    ['out/%{[event][dataset]}', /with dots: %{event.dataset}/],
    ['out/%{a..b}', /no field path/],
    ['out/%{a.__proto__.b}', /never part of a field path/],
    ['out/%{+QQ}', /QQ is no pattern of a time/],
    ['out/%{+}', /no format of a time/],
    ["out/%{+'x'}", /no format of a time/],
    ['out/%{+HH:mm}', /must not be part of a name/],
    ['out/%{user}/../../etc', /"\.\." is no name/],
    ['out/%{user:-../x}', /the default "\.\.\/x" is not one name/],
    ['out/%{user:-..}', /"\.\." is no name/],
    ['out/%{user}//x', /"" is no name/],
    ['out/%{user}/', /"" is no name/],
    ['out/\n%{user}', /control character/],
    ['out/\0', /control character/],
  ]
  for (const [text, message] of cases) t.throws(() => path(text), { name: 'OptionError', path: 'path', message }, text)
  t.equal(path('audit-%{+yyyy-MM-dd}.ndjson').literalPrefix, 'audit-', 'a time alone needs no folder: it holds digits only')
  t.end()
})

t.test('tricks in values are refused with the folder they leave', t => {
  const tricks = [
    '..',
    '.',
    '../etc/passwd',
    '/etc/passwd',
    'a/b',
    'a/../../b',
    '..\\..\\boot.ini',
    'C:evil',
    'name:stream',
    'a\0b',
    'a\nb',
    'a\rb',
    '\x1b[2J',
    '\x85',
    'x'.repeat(256),
    'ü'.repeat(128),
    '\ud800',
  ]
  for (const user of tricks) {
    for (const template of ['out/%{user}', 'out/%{user}/x.ndjson', 'out/x/%{user}']) {
      t.throws(
        () => render(template, { user }),
        { name: 'PermanentError', code: 'PEN_PATH', message: /leaves out\// },
        JSON.stringify(user),
      )
    }
  }
  t.throws(
    () => render('out/%{a}%{b}', { a: '.', b: '.' }),
    { message: /leaves out\// },
    'two harmless values that are not together',
  )
  for (const user of ['x'.repeat(255), 'ü'.repeat(127), '...', '.hidden', '~', '-rf', '%2e%2e%2f', 'a b', '名前']) {
    t.equal(render('out/%{user}', { user }), `out/${user}`)
  }
  for (const user of ['con', 'NUL.txt', 'com1', 'a.', 'a ']) {
    t.throws(() => path('out/%{user}', true).render({ user }), { message: /on Windows/ }, user)
    t.equal(path('out/%{user}').render({ user }), `out/${user}`)
  }
  t.throws(() => compile('out/%{user}', 'path', pathRules(22)).render({ user: 'x'.repeat(234) }), {
    message: /234 bytes, and 233/,
  })
  t.end()
})

t.test('whatever the values are, a path stays below its folder or is refused', t => {
  const nasty = fc
    .array(fc.constantFrom('.', '..', '/', '\\', ':', '\0', '\n', 'a', '%{', '}', '~', ' '), { maxLength: 6 })
    .map(parts => parts.join(''))
  const value = fc.oneof(
    nasty,
    fc.string({ unit: 'binary' }),
    fc.constantFrom('a', 'b'),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
  )
  const templates = ['out/%{a}', 'out/%{a}%{b}', 'out/%{a}/%{b}.ndjson', 'out/x-%{a:-d}/y', 'out/%{a:yyyy-MM-dd:-d}%{b}'].map(
    text => path(text),
  )
  const base = resolve('/base/out')
  fc.assert(
    fc.property(fc.constantFrom(...templates), value, value, (template, a, b) => {
      let text: string
      try {
        text = template.render({ a, b })
      } catch (error) {
        return (error as { code?: string }).code === 'PEN_PATH'
      }
      const depth = template.text.split('/').length
      return (
        resolve('/base', text).startsWith(base + sep) && resolve('/base', text).slice('/base/'.length).split(sep).length === depth
      )
    }),
    { numRuns: 400 },
  )
  t.end()
})

t.test('many different values do not fill the memory', t => {
  const template = path('out/%{user}/%{+yyyy-MM-dd}')
  for (let i = 0; i < 5000; i++) template.render({ user: `u${i}`, '@timestamp': i * 86_400_000 })
  t.equal(template.render({ user: 'u1', '@timestamp': 0 }), 'out/u1/1970-01-01')
  t.end()
})
