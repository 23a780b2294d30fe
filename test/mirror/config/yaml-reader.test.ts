import t from 'tap'
import { YamlReader, type YamlNode } from '../../../src/mirror/config/yaml-reader.ts'

const textsOf = (yaml: string) => {
  const reader = new YamlReader(yaml)
  const texts = reader.entriesOf(reader.root, 'it').map(({ value }) => reader.text(value, 'it'))
  return { texts, problems: reader.problems }
}

await t.test('text is unchanged if Go reads the same text', async (t) => {
  const { texts, problems } = textsOf('a: 9.6\nb: "9.60"\nc: 8\nd: x\ne: true\nf: 2026-01-01\ng: ~\nh:\n')
  t.strictSame(texts, ['9.6', '9.60', '8', 'x', 'true', '2026-01-01', undefined, undefined])
  t.strictSame(problems, [])
})

await t.test('text that Go reads as another type has to be quoted', async (t) => {
  for (const [text, value] of [
    ['4.10', '4.1'],
    ['yes', 'true'],
    ['010', '8'],
    ['1_000', '1000'],
    ['1:20', '80'],
  ] as const) {
    const { texts, problems } = textsOf(`first: a\nb: ${text}`)
    t.strictSame(texts, ['a', undefined], text)
    t.match(problems, [
      {
        severity: 'error',
        position: { line: 2, column: 4 },
        message: `${text} is not text but the value ${value}`,
        cure: `write it in quotes: "${text}"`,
      },
    ])
    t.equal(problems.length, 1)
  }
})

await t.test('aliases are resolved', async (t) => {
  const { texts, problems } = textsOf('a: &x text\nb: *x\n')
  t.strictSame(texts, ['text', 'text'])
  t.strictSame(problems, [])
})

await t.test('a map, a list and text in each other place', async (t) => {
  const messagesOf = (yaml: string, read: (reader: YamlReader, root: YamlNode) => unknown) => {
    const reader = new YamlReader(yaml)
    read(reader, reader.root)
    return reader.problems.map(({ message }) => message)
  }
  t.strictSame(
    messagesOf('- a', (reader, root) => reader.entriesOf(root, 'it')),
    ['it is not a map'],
  )
  t.strictSame(
    messagesOf('a: b', (reader, root) => reader.itemsOf(root, 'it')),
    ['it is not a list'],
  )
  t.strictSame(
    messagesOf('- a', (reader, root) => reader.text(root, 'it')),
    ['it has a map or a list where text belongs'],
  )
  t.strictSame(
    messagesOf('', (reader, root) => [reader.entriesOf(root, 'it'), reader.itemsOf(root, 'it')]),
    [],
  )
})

await t.test('syntax errors and repeated keys have a position', async (t) => {
  t.match(new YamlReader('a: b\na: c\n').problems, [
    { position: { line: 2, column: 1 }, subject: 'file', message: 'a key is written twice' },
  ])
  t.match(new YamlReader('a: b\nc: "d\n').problems, [{ message: /^this is not YAML: / }])
})

await t.test('a key has one spelling in one map, whatever its case', async (t) => {
  const reader = new YamlReader('Name: a\nnAme: b\nother: c\n')
  const fields = reader.fieldsOf(reader.root, 'it', ['name', 'tag'])
  t.strictSame([...fields.keys()], ['name'])
  t.match(reader.problems, [
    { position: { line: 2 }, message: 'it has name twice, in two spellings' },
    { position: { line: 3 }, message: '"other" is not a key of it', cure: 'use name, tag' },
  ])
})

await t.test('a warning is no error', async (t) => {
  const reader = new YamlReader('a: b')
  reader.warn(undefined, 'it', 'is odd', 'look')
  t.strictSame(reader.problems, [
    { severity: 'warning', position: { line: 1, column: 1 }, subject: 'it', message: 'is odd', cure: 'look' },
  ])
})

await t.test('a key that is no text', async (t) => {
  const reader = new YamlReader('4.10: a\n? [b]\n: c\n~: d\ne: f\n')
  t.strictSame(
    reader.entriesOf(reader.root, 'it').map(({ key }) => key),
    ['e'],
  )
  t.strictSame(
    reader.problems.map(({ position, message }) => `${position.line} ${message}`),
    [
      '1 4.10 is not text but the value 4.1',
      '2 it has a map or a list where text belongs',
      '4 a key of it is empty',
    ],
  )
})

await t.test('whether a subject has an error', async (t) => {
  const reader = new YamlReader('a: b')
  reader.warn(reader.root, 'it', 'is odd', 'look')
  t.equal(reader.hasError('it'), false)
  reader.error(reader.root, 'it', 'is wrong', 'look')
  t.equal(reader.hasError('it'), true)
  t.equal(reader.hasError('other'), false)
})

await t.test('the items of a list, and of a key that is written twice one problem', async (t) => {
  const list = new YamlReader('- a\n- b\n')
  t.equal(list.itemsOf(list.root, 'it').length, 2)
  const twice = new YamlReader('name: a\nname: b\n')
  twice.fieldsOf(twice.root, 'it', ['name'])
  t.strictSame(
    twice.problems.map(({ message }) => message),
    ['a key is written twice'],
  )
})

await t.test('aliases that stand for nothing, merge keys and tags', async (t) => {
  const problemsOf = (yaml: string) => {
    const reader = new YamlReader(yaml)
    for (const { value } of reader.entriesOf(reader.root, 'it')) reader.entriesOf(value, 'it')
    return reader.problems.map(({ severity, position, message }) => [severity, position.line, message])
  }
  t.strictSame(problemsOf('a: *x\n'), [
    ['error', 1, 'the alias *x stands for nothing: no anchor &x is before it'],
  ])
  t.strictSame(problemsOf('a: &x {b: c}\nd:\n  <<: *x\n'), [['error', 3, 'a merge key (<<) is not read']])
  t.match(problemsOf('a: !!python/object {}\n'), [['warning', 1, /^a tag or a directive has no effect: /]])
  t.match(problemsOf('a: {}\n---\nb: {}\n'), [['error', 2, 'the file has a second YAML document']])
})

await t.test('attack: a file of wrong syntax has a short report', async (t) => {
  const { problems, isYaml } = new YamlReader('['.repeat(5000))
  t.equal(isYaml, false)
  t.ok(problems.length > 0 && problems.length <= 10, `${problems.length}`)
})

await t.test(
  'attack: many aliases, one of itself, and those of a map with thousands of errors',
  async (t) => {
    const many = (count: number) => `x: &x y\nlist: [${'*x, '.repeat(count)}]`
    for (const [yaml, isYaml] of [
      [many(1001), false],
      [many(1000), true],
      [`list: [${'*none, '.repeat(1001)}]`, false],
    ] as const) {
      const reader = new YamlReader(yaml)
      t.equal(reader.isYaml, isYaml)
      t.strictSame(
        reader.problems.map(({ message }) => message),
        isYaml ? [] : ['the file has more than 1000 aliases'],
      )
    }
    t.match(textsOf('a: &x [*x]').problems, [{ message: 'it has a map or a list where text belongs' }])
    t.match(textsOf('a: &x {b: 1}\nc: &y\n- *y').texts, [undefined, undefined])
    const keys = Array.from({ length: 3000 }, (_, at) => `k${at}: 1`).join(', ')
    const reader = new YamlReader(
      `a: &x {${keys}}\n${Array.from({ length: 900 }, (_, at) => `b${at}: *x`).join('\n')}`,
    )
    for (const { value } of reader.entriesOf(reader.root, 'it')) reader.fieldsOf(value, 'it', ['image'])
    t.equal(reader.problems.length, 3000)
  },
)
