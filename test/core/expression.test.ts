// Expressions over events: what they mean, what an absent field does to them, and where their errors are.
import t from 'tap'
import { compileExpression } from '../../core/config/expression.ts'
import { ExpressionError } from '../../core/config/expression-errors.ts'

const event = {
  fields: {
    RecordType: 15,
    type: 'logon',
    '@timestamp': '2026-01-02T03:04:05Z',
    event: { action: 'MailItemsAccessed', severity: 5, category: ['email', 'iam'], ratio: 0.5, ok: true, none: null },
    user: { name: 'svc-backup', roles: [{ name: 'admin' }, { name: 'reader' }] },
    package: { name: 'x' },
    labels: { 'a.b': 'c' },
  },
  meta: { input: 'file', path: '/var/log/a.ndjson' },
}
const bare = { fields: {}, meta: {} }

const CASES: [text: string, full: boolean, bare: boolean][] = [
  // Numbers of JSON against literals of both kinds.
  ['RecordType == 15', true, false],
  ['15 == RecordType', true, false],
  ['RecordType == 15.0', true, false],
  ['RecordType != 15', false, false],
  ['event.severity > 3', true, false],
  ['3 < event.severity', true, false],
  ['5 <= event.severity && 5 >= event.severity', true, false],
  ['5 < event.severity || 5 > event.severity', false, false],
  ['event.severity >= 5.0 && event.ratio < 1', true, false],
  ['RecordType in [15, 50]', true, false],
  ['RecordType in [14, "15"]', false, false],
  ['RecordType % 2 == 1', true, false],
  ['event.severity + 1 == 6 && event.severity * 2 - 1 > 8.5 && event.severity / 2 == 2.5', true, false],
  ['RecordType > 9007199254740993', false, false],
  ['-event.severity == -5', true, false],
  // Text, lists, maps.
  ['event.action == "MailItemsAccessed" && user.name == "svc-backup"', true, false],
  ['"iam" in event.category', true, false],
  ['"name" in user', true, false],
  ['"@timestamp" in doc', true, false],
  ['user.name.startsWith("svc-") || user.name.endsWith("$")', true, false],
  ['user.name.contains("back") && user.name.matches("^svc-[a-z]+$")', true, false],
  ['user.name.upperAscii() == "SVC-BACKUP"', true, false],
  ['user.roles.exists(role, role.name == "admin")', true, false],
  ['user.roles.all(type, type.name != "owner")', true, false],
  ['user.roles[1].name == "reader"', true, false],
  ['user.roles[7].name == "reader"', false, false],
  ['size(user.roles) == 2', true, false],
  ['event.category == ["email", "iam"]', true, false],
  ['timestamp(doc["@timestamp"]).getFullYear() == 2026', true, false],
  ['event.ok', true, false],
  ['!event.ok', false, false],
  ['event.none == null', true, false],
  // Every field of the event, and where it comes from.
  ['doc["@timestamp"] > "2026"', true, false],
  ['doc.package.name == "x"', true, false],
  ['labels["a.b"] == "c"', true, false],
  ['type == "logon"', true, false],
  ['type(RecordType) == double', true, false],
  ['meta.input == "file" && meta.path.endsWith(".ndjson")', true, false],
  // A lack is false, and || and && absorb it.
  ['absent.field == "x" || RecordType == 15', true, false],
  ['RecordType == 15 || absent.field == "x"', true, false],
  ['!(absent.field == "x")', false, false],
  ['absent.field != "x"', false, false],
  ['!(absent.field == "x" && RecordType == 1)', true, false],
  ['event.action.deeper == "x"', false, false],
  ['absent ? true : true', false, false],
  ['RecordType == 15 ? true : absent', true, false],
  // has() is never an error.
  ['has(user.name)', true, false],
  ['!has(user.name)', false, true],
  ['has(user.name.first)', false, false],
  ['has(event.none)', true, false],
  ['user.roles.exists(role, has(role.email))', false, false],
  ['!has(absent.very.deep)', true, true],
  // Names that JavaScript's objects inherit are data or nothing.
  ['constructor.name == "Object"', false, false],
  ['has(doc.constructor)', false, false],
  ['has(user.__proto__)', false, false],
  ['user.toString == "x" || user["__proto__"] == null', false, false],
  ['event.category.length == 2', false, false],
  ['user.name.length == 10', false, false],
]

for (const [text, onFull, onBare] of CASES) {
  t.test(text, async t => {
    const errors: Error[] = []
    const expression = compileExpression(text, '', error => errors.push(error))
    t.equal(expression(event), onFull, 'an event with everything')
    t.equal(expression(bare), onBare, 'an event with nothing')
    t.strictSame(errors, [], 'nothing of this is an evaluation error')
    t.equal(expression.text, text)
  })
}

t.test('data that names JavaScript’s own is data, for closures', async t => {
  const odd = { fields: JSON.parse('{"constructor":{"name":"x"},"a":{"__proto__":{"b":1},"toString":"y"}}'), meta: {} }
  t.equal(compileExpression('constructor.name == "x"')(odd), true)
  t.equal(compileExpression('a["__proto__"].b == 1')(odd), true)
  t.equal(compileExpression('a.toString == "y"')(odd), true)
  t.equal(compileExpression('a.b == 1')(odd), false)
})

t.test('an evaluation error is false, and is told', async t => {
  for (const [text, message] of [
    ['event.action > 3', /no such overload/],
    ['event.severity.startsWith("x")', /no matching overload/],
    ['"x" in event.action', /no such overload/],
    ['!event.action', /no such overload/],
    ['event.action', /gave text, not true or false/],
    ['event.severity / 0 > 1 && event.action < 3', /no such overload/],
    ['event.action == "MailItemsAccessed" && event.action', /requires bool operands/],
  ] as const) {
    const errors: Error[] = []
    t.equal(compileExpression(text, '', error => errors.push(error))(event), false, text)
    t.equal(errors.length, 1, text)
    t.match(errors[0]?.message, message)
    t.doesNotThrow(() => compileExpression(text)(event), 'nobody has to listen')
  }
})

const WRONG: [text: string, offset: number, reason: RegExp][] = [
  ['', 0, /is empty/],
  ['a = 3', 2, /write ==/],
  ['a and b', 2, /write && for "and"/],
  ['a or b', 2, /write \|\| for "or"/],
  ['not a', 4, /unexpected a|write !/],
  ['@timestamp > "2"', 0, /doc\["@timestamp"\]/],
  ['package.name == "x"', 0, /write doc\.package/],
  ['string == "x"', 0, /write doc\.string/],
  ['a == "x', 5, /unterminated string/],
  ['a == ', 5, /not complete/],
  ['(a', 2, /ends where \) is expected/],
  ['a.b.', 4, /ends where a name is expected/],
  ['x.matches("(")', 10, /regular expression is wrong/],
  ['trimx(a)', 0, /no function trimx\(\); did you mean trim\?/],
  ['user.name.startswith("a")', 0, /did you mean startsWith\?/],
  ['true && 1 + "x" == 2', 8, /\+ does not work between an int and a string/],
  ['size(a)', 0, /must give true or false, but gives an int/],
  ['"x"', 0, /but gives a string/],
  ['has(a)', 4, /has\(doc\.name\)/],
  [`${'('.repeat(200)}a${')'.repeat(200)}`, 100, /too large/],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is the mistake.
  ['a == ${NAME}', 5, /not filled into expressions/],
]
for (const [text, offset, reason] of WRONG) {
  t.test(`wrong: ${text.slice(0, 40)}`, async t => {
    try {
      compileExpression(text, 'option')
      t.fail('it compiles')
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      t.equal(error.offset, offset)
      t.match(error.reason, reason)
      t.equal(error.path, 'option')
      t.equal(error.code, 'PEN_OPTION')
    }
  })
}
