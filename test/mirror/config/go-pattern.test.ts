import t from 'tap'
import { parseGoPattern } from '../../../src/mirror/config/go-pattern.ts'

await t.test('the patterns of the real configuration, unanchored as in Go', async (t) => {
  for (const [text, matching, other] of [
    ['^release$', 'release', 'release-5.0'],
    ['^builder$', 'builder', 'a-builder'],
    ['^scos.*', 'scos-4.16', 'a-scos'],
    [String.raw`^\d+\.\d+$`, '4.22', '4.22-priv'],
    ['^rhel-coreos.*', 'rhel-coreos-next', 'base-rhel'],
    ['rhel', 'base-rhel9', 'scos'],
  ] as const) {
    const pattern = parseGoPattern(text)
    if (typeof pattern === 'string') throw new Error(`${text} ${pattern}`)
    t.equal(pattern.text, text)
    t.ok(pattern.matches(matching), `${text} ${matching}`)
    t.notOk(pattern.matches(other), `${text} ${other}`)
  }
})

await t.test('patterns that Go reads differently, or not at all, are refused', async (t) => {
  for (const text of ['(?=a)', '(?!a)', '(?<=a)', '(?<!a)', String.raw`(a)\1`, '[[:digit:]]'])
    t.equal(parseGoPattern(text), 'has a construct that Go and this program read differently', text)
  for (const text of ['(', '[', 'a{2', String.raw`\A`, '(?P<a>b)'])
    t.equal(parseGoPattern(text), 'is not a regular expression', text)
  t.equal(parseGoPattern('a'.repeat(201)), 'has more than 200 characters')
})

await t.test('attack: a pattern that takes years', async (t) => {
  t.match(parseGoPattern('^(a+)+$'), 'repeats a group')
  t.match(parseGoPattern('(a|a)*b'), 'repeats a group')
  for (const text of [
    '^.*.*.*.*x$',
    '.*.*.*x$',
    `^${'a?'.repeat(30)}${'a'.repeat(30)}$`,
    `^${'(a|a)'.repeat(30)}b$`,
    '^.{0,100}.{1,}.{2,9}.*x$',
  ])
    t.match(parseGoPattern(text), 'has so many choices', text)
  const name = 'a'.repeat(253)
  for (const text of [
    '^a*a*a*b$',
    String.raw`^4\.\d+(-.*)?$`,
    '^(?:a|b|c)[*+?|]{2}a{3}',
    `^${'(a|a)'.repeat(24)}b$`,
  ]) {
    const pattern = parseGoPattern(text)
    t.type(pattern, 'object', text)
    if (typeof pattern === 'object') t.notOk(pattern.matches(name))
  }
})
