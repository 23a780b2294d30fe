import { createHash } from 'node:crypto'
import t from 'tap'
import { script, style } from '../../src/page/assets.ts'
import { isForBrowser, pageHeaders } from '../../src/page/page-headers.ts'

await t.test('browsers ask for HTML', async (test) => {
  test.equal(isForBrowser({ headers: { accept: 'text/html,*/*;q=0.8' } }), true)
  test.equal(isForBrowser({ headers: { accept: '*/*' } }), false)
  test.equal(isForBrowser({ headers: {} }), false)
})

await t.test('a page loads nothing, and sends no referrer', async (test) => {
  test.strictSame(pageHeaders.contentSecurityPolicy.directives.defaultSrc, ["'none'"])
  test.strictSame(pageHeaders.referrerPolicy, { policy: 'no-referrer' })
})

await t.test('the policy allows this style and this script, and nothing else', async (test) => {
  const { directives } = pageHeaders.contentSecurityPolicy
  const hashOf = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
  test.strictSame(directives.styleSrc, [hashOf(style)])
  test.strictSame(directives.scriptSrc, [hashOf(script)])
  test.strictSame(directives.defaultSrc, ["'none'"])
  test.notMatch(JSON.stringify(directives), /unsafe|https?:|\*/)
})
