import t from 'tap'
import { isForBrowser, pageHeaders } from '../../src/page/browsers.ts'

await t.test('browsers ask for HTML', async (test) => {
  test.equal(isForBrowser({ headers: { accept: 'text/html,*/*;q=0.8' } }), true)
  test.equal(isForBrowser({ headers: { accept: '*/*' } }), false)
  test.equal(isForBrowser({ headers: {} }), false)
})

await t.test('a page loads nothing, and tells no other page where it is', async (test) => {
  test.strictSame(pageHeaders.contentSecurityPolicy.directives.defaultSrc, ["'none'"])
  test.strictSame(pageHeaders.referrerPolicy, { policy: 'no-referrer' })
})
