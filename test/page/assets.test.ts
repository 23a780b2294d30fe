import { createHash } from 'node:crypto'
import t from 'tap'
import { contentSecurityPolicy, script, style } from '../../src/page/assets.ts'

await t.test('the policy allows this style and this script, and nothing else', async (test) => {
  const { directives } = contentSecurityPolicy
  const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  test.strictSame(directives.styleSrc, [hashOf(style)])
  test.strictSame(directives.scriptSrc, [hashOf(script)])
  test.strictSame(directives.defaultSrc, ["'none'"])
  test.notMatch(JSON.stringify(directives), /unsafe|https?:|\*/)
})

await t.test('neither ends its element, nor loads anything', async (test) => {
  for (const text of [style, script]) test.notMatch(text, /<\/|url\(|@import|import\(|fetch\(/)
})
