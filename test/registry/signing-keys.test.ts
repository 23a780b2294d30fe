import t from 'tap'
import { createKeys, parseTokenSecret } from '../../src/registry/signing-keys.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const names = (keys: readonly Uint8Array[]) => keys.map((key) => new TextDecoder().decode(key))

await t.test('one key a line, the signing one first, each of 256 bits', async (test) => {
  const [one, two, ...more] = parseTokenSecret(['  first secret of many \n\nsecond secret of all\r\n'])
  test.strictSame([one?.length, two?.length, more.length], [32, 32, 0])
  test.strictSame(parseTokenSecret(['first secret of many']), [one])
})

await t.test('no key, or one that could be guessed, is refused without being told', async (test) => {
  for (const contents of [[], [''], [' \n\n']])
    test.throws(() => parseTokenSecret(contents), { message: 'the token secret file is empty' })
  test.throws(() => parseTokenSecret(['a long enough secret\nhunter2']), {
    message: 'the token secret file holds a key of fewer than 16 characters',
  })
})

await t.test('a replaced key is honoured for the life of what it signed', async (test) => {
  let now = 0
  let replace: (keys: readonly Uint8Array[]) => void = () => undefined
  const keys = createKeys({
    file: { current: () => [bytes('a')], onChange: (listener) => void (replace = listener) },
    honouredMs: 100,
    now: () => now,
  })
  test.strictSame(names(keys()), ['a'])
  replace([bytes('b')])
  test.strictSame(names(keys()), ['b', 'a'])
  now = 60
  replace([bytes('c')])
  test.strictSame(names(keys()), ['c', 'b', 'a'])
  now = 100
  test.strictSame(names(keys()), ['c', 'b'])
  replace([bytes('d')])
  test.strictSame(names(keys()), ['d', 'c', 'b'])
  now = 1000
  test.strictSame(names(keys()), ['d'])
})

await t.test('the clock is the real one unless told', async (test) => {
  const file = { current: () => [bytes('a')], onChange: (tell: (keys: Uint8Array[]) => void) => tell([]) }
  test.strictSame(names(createKeys({ file, honouredMs: 60_000 })()), ['a'])
})
