import t from 'tap'
import { splitLines, maxLineLength } from '../../src/audit/split-lines.ts'

const read = async (...chunks: readonly string[]) => {
  const from = async function* () {
    yield* chunks
  }
  return await Array.fromAsync(splitLines(from()))
}

await t.test('lines, with any chunks', async (test) => {
  test.strictSame(await read('a\nb', 'c\n', '\n', ' \nd'), ['a', 'bc', 'd'])
  test.strictSame(await read('a\r\n'), ['a\r'])
  test.strictSame(await read(), [])
  test.strictSame(await read('', '\n'), [])
})

await t.test('a line over the limit is dropped, and the next one is read', async (test) => {
  const half = 'x'.repeat(maxLineLength / 2 + 1)
  test.strictSame(await read(half, half, half, half), [undefined])
  test.strictSame(await read(half, half, half, '\na\nb'), [undefined, 'a', 'b'])
  test.strictSame(await read(half, `${half}\na`), [undefined, 'a'])
  test.strictSame(await read('x'.repeat(maxLineLength)), ['x'.repeat(maxLineLength)])
})
