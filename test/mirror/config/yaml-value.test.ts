import t from 'tap'
import { readYamlValue } from '../../../src/mirror/config/yaml-value.ts'

await t.test('text, lists and maps, and nothing', async (t) => {
  for (const [yaml, value] of [
    ['a: 4.10\nb: "x"\nc: yes\nd: 010', { a: '4.10', b: 'x', c: 'true', d: '010' }],
    ['- a\n- [b]\n- {c: d}', ['a', ['b'], { c: 'd' }]],
    ['a:\nb: ~', { a: undefined, b: undefined }],
    ['a: !!str', { a: '' }],
    ['? [x]\n: y\nz: 1', { z: '1' }],
    ['', undefined],
  ] as const)
    t.strictSame(readYamlValue(yaml), value, yaml)
  const odd = readYamlValue('__proto__: {a: b}') as object
  t.strictSame(Object.keys(odd), ['__proto__'])
  t.equal(Object.getPrototypeOf(odd), Object.prototype)
})

await t.test('aliases and merge keys', async (t) => {
  const base = 'x: &x {a: 1, b: 1}\ny: &y {a: 2, c: 2}\n'
  const merged = (yaml: string) => (readYamlValue(`${base}${yaml}`) as { readonly z: unknown }).z
  t.strictSame(merged('z: *x'), { a: '1', b: '1' })
  t.strictSame(merged('z: {b: 3, <<: *x}'), { a: '1', b: '3' })
  t.strictSame(merged('z: {<<: [*x, *y], c: 3}'), { a: '1', b: '1', c: '3' })
  t.strictSame(merged('z: {<<: text}'), {})
})

await t.test('the first problem has its position', async (t) => {
  t.throws(() => readYamlValue('a: ['), { message: /^1:\d+: this is not YAML/ })
  t.throws(() => readYamlValue('a: {b: 1, b: 2}'), /^1:11: a key is written twice/)
  t.throws(() => readYamlValue('a: b\nc: *d'), /^2:4: the alias/)
  t.throws(() => readYamlValue('a: &x [*x]'), /^1:8: the alias/)
  const levels = Array.from({ length: 40 }, (_, at) => `a${at + 1}: &a${at + 1} [*a${at}, *a${at}]`)
  t.throws(() => readYamlValue(`a0: &a0 x\n${levels.join('\n')}`), /^1:1: its aliases stand for more than/)
  t.throws(() => readYamlValue(`a: [${'*x, '.repeat(1001)}]`), /^1:1: the file has more than 1000 aliases/)
})
