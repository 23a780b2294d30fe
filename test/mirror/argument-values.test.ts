import t from 'tap'
import { ArgumentValues } from '../../src/mirror/argument-values.ts'

await t.test('the last value of a flag counts; all problems are reported', async (t) => {
  const problems: string[] = []
  const values = new ArgumentValues(
    new Map([
      ['port', ['1', '2']],
      ['interval', ['often']],
    ]),
    problems,
  )
  t.equal(values.port('port'), 2)
  t.equal(values.text('config'), undefined)
  t.equal(values.duration('interval'), 0)
  t.strictSame(values.repository('qci'), { registry: 'quay.io', repository: 'openshift/ci' })
  t.strictSame(problems, ['--interval=often is not valid: expected a duration such as 10s or 5m'])
})

await t.test('valid and invalid values of each kind', async (t) => {
  const problems: string[] = []
  const valuesOf = (texts: Readonly<Record<string, readonly string[]>>) =>
    new ArgumentValues(new Map(Object.entries(texts)), problems)
  const good = valuesOf({
    format: ['json'],
    url: ['http://mirror:8090'],
    'registry-origin': ['quay.io=http://127.0.0.1:5000'],
  })
  t.equal(good.oneOf('format', ['plain', 'json']), 'json')
  t.equal(good.url('url')?.href, 'http://mirror:8090/')
  t.equal(good.url('config'), undefined)
  t.equal(good.origins('registry-origin').get('quay.io')?.port, '5000')
  t.equal(good.origins('config').size, 0)
  t.strictSame(good.patterns('attachments'), [])
  t.equal(
    valuesOf({ attachments: ['^a/'] })
      .patterns('attachments')[0]
      ?.matches('a/b:c'),
    true,
  )
  t.strictSame(problems, [])
  const bad = valuesOf({
    format: ['xml'],
    port: ['x'],
    qci: ['quay.io'],
    'registry-origin': ['=x'],
    attachments: ['(a+)+'],
  })
  t.equal(bad.oneOf('format', ['plain', 'json']), 'plain')
  t.equal(bad.port('port'), 0)
  t.strictSame(bad.repository('qci'), { registry: '', repository: '' })
  bad.origins('registry-origin')
  t.strictSame(bad.patterns('attachments'), [])
  t.match(problems, [
    /^--format=xml/,
    /^--port=x/,
    /^--qci=quay\.io/,
    /^--registry-origin==x/,
    /^--attachments=\(a\+\)\+ is not valid.*repeats a group/,
  ])
})

await t.test('flags that may be repeated', async (t) => {
  const problems: string[] = []
  const values = new ArgumentValues(new Map([['enable-controller', ['a', 'b', 'a']]]), problems)
  t.strictSame(values.list('enable-controller'), ['a', 'b', 'a'])
  t.strictSame(values.list('config'), [])
  t.strictSame(values.names('enable-controller', /^a$/, 'an a'), new Set(['a', 'b']))
  t.strictSame(problems, ['--enable-controller=b is not valid: expected an a'])
})
