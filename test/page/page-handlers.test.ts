import t from 'tap'
import { RegistryError } from '../../src/oci/errors.ts'
import { challenge, refused, routesOptions } from '../registry/fakes.ts'
import { explaining } from './fakes.ts'
import type { FlatOptions } from '../server/server-options.ts'
import type { Test } from 'tap'

const accept = 'text/html,application/xhtml+xml,*/*;q=0.8'
const secret = `sha256~${'s'.repeat(43)}`

const browser = async (test: Test, more: Partial<FlatOptions> = {}) => {
  const { get, lines, port } = await explaining(test, more)
  const post = async (
    fields: Readonly<Record<string, string>> | string,
    headers: Readonly<Record<string, string>> = {},
  ) =>
    await get('/', {
      method: 'POST',
      headers: { accept, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: typeof fields === 'string' ? fields : new URLSearchParams(fields).toString(),
    })
  return { get: async (path: string) => await get(path, { headers: { accept } }), post, lines, port }
}

await t.test('the page, with the image of a link', async (test) => {
  const { get } = await browser(test)
  const { status, headers, body } = await get('/?image=ocp/4.5:%3Cb%3E&token=abc')
  test.equal(status, 200)
  test.equal(headers.get('content-type'), 'text/html; charset=utf-8')
  test.equal(headers.get('cache-control'), 'no-store')
  test.match(body, 'value="ocp/4.5:&lt;b&gt;"')
  test.notMatch(body, 'abc')
})

await t.test('the form: an answer for the token, which is neither shown nor logged', async (test) => {
  const seen: unknown[] = []
  const { post, lines } = await browser(test, {
    authenticate: async (credential, client) => {
      seen.push(credential)
      return await routesOptions().authenticate(credential, client)
    },
    policy: { ...routesOptions().policy, decide: async () => refused },
  })
  const { status, body } = await post({ image: 'ocp/4.5:base', token: ` ${secret}\r\n` })
  test.equal(status, 200)
  test.match(body, 'You may not pull this image')
  test.match(body, 'value="ocp/4.5:base"')
  test.strictSame(seen, [{ kind: 'bearer', token: secret }])
  test.notMatch(body, secret)
  test.notMatch(JSON.stringify(lines), secret)
})

await t.test('errors are pages, with their status and what helps', async (test) => {
  const { post, lines, port } = await browser(test, {
    authenticate: async ({ kind }) => {
      if (kind === 'none') throw challenge.unauthorized('log in first')
      throw new RegistryError('TOOMANYREQUESTS', 'too <many>', { headers: { 'retry-after': '3' } })
    },
  })
  const nobody = await post({ image: 'a/b:c', token: ' ' })
  test.equal(nobody.status, 401)
  test.notOk(nobody.headers.has('www-authenticate'), 'no dialog of the browser')
  test.match(nobody.body, '<p>log in first.</p>')
  const many = await post({ image: 'a/b:c', token: secret })
  test.strictSame([many.status, many.headers.get('retry-after')], [429, '3'])
  test.match(many.body, 'too &lt;many&gt;.')
  test.match(lines, [{ error: 'UNAUTHORIZED' }, { error: 'TOOMANYREQUESTS' }])
  const long = await post({ image: 'a/b:c', token: 'x'.repeat(20_000) })
  test.equal(long.status, 400, 'the bound of the token endpoint')
  test.match(long.body, 'the form cannot be read')
  const broken = await post({}, { 'content-type': 'application/json' })
  test.equal(broken.status, 400)
  test.match(broken.body, 'the form cannot be read')
  test.equal(broken.headers.get('connection'), 'close')
  test.equal((await post('image=a/b:c&token=x&token=y')).status, 401, 'a field counts once')
  const nothing = await fetch(`http://127.0.0.1:${port}/?token=${secret}`, {
    method: 'POST',
    headers: { accept },
  })
  test.equal(nothing.status, 401, 'attack: a token in a URL, which others log')
})

await t.test('a bug of the proxy is answered as everywhere', async (test) => {
  const { post } = await browser(test, {
    authenticate: async () => {
      throw new TypeError('hunter2')
    },
  })
  const { status, body } = await post({ image: 'a/b:c', token: secret })
  test.equal(status, 503)
  test.notMatch(body, 'hunter2')
})

await t.test('attack: a form of another site, or over a connection that others read', async (test) => {
  const { post } = await browser(test)
  const foreign = await post({ image: 'a/b:c', token: secret }, { 'sec-fetch-site': 'cross-site' })
  test.equal(foreign.status, 403)
  test.match(foreign.body, 'the form was sent by another site')
  const own = await post({ image: 'a/b:c', token: secret }, { 'sec-fetch-site': 'same-origin' })
  test.equal(own.status, 200)
  const forwarded = await post({ image: 'a/b:c', token: secret }, { 'x-forwarded-for': '192.0.2.1' })
  test.equal(forwarded.status, 403)
  test.match(forwarded.body, 'open the page with https')
  test.notMatch(forwarded.body, '<form')
})
