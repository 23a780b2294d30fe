import t from 'tap'
import { script, style } from '../../src/page/assets.ts'
import { pageOf, type PageContent, type PageFrame } from '../../src/page/document.ts'
import { createLoginAdvice } from '../../src/registry/authentication/login-advice.ts'

const host = 'proxy.example'
const frame: PageFrame = {
  exposed: new URL(`https://${host}`),
  loginAdvice: createLoginAdvice({ host, clusterUrl: new URL('https://api.ci.example:6443') }),
  helpUrl: new URL('https://help.example/?a=1&b=2'),
  allowAnonymous: false,
  robotsOnly: false,
}
const content: PageContent = {
  image: '',
  acceptsToken: true,
  parts: [
    { name: 'API server of app.ci', state: 'works' },
    { name: 'quay.io', state: 'fails', detail: 'since noon' },
    { name: 'cache', state: 'unknown' },
    { name: 'mirror', state: 'works', page: '/mirrors' },
  ],
  requestId: 'the-id',
}
const page = (more: Partial<PageContent> = {}, frameMore: Partial<PageFrame> = {}) =>
  pageOf({ ...frame, ...frameMore }, { ...content, ...more })
    // The words of commands.
    .replaceAll(/<span>|(?<=<span>[^<]*)<\/span>/g, '')
    .replaceAll(/\s+/g, ' ')

await t.test('commands with the right host, the state, and help', async (test) => {
  const text = page()
  test.match(text, '<code>oc login https://api.ci.example:6443</code>')
  test.match(text, '<code>podman login -u=$(oc whoami) -p=$(oc whoami -t) proxy.example</code>')
  test.match(text, 'oc create token NAME -n NAMESPACE --duration=24h) proxy.example')
  test.match(text, '<dt><a href="/mirrors">mirror</a></dt>')
  test.match(text, /<dt>quay.io<\/dt>\s*<dd>\s*<span class="fails">fails<\/span>, since noon/)
  test.match(text, '<a href="https://help.example/?a=1&amp;b=2">')
  test.match(text, 'Request id the-id')
  test.match(text, `<title>${host}</title>`)
  test.notMatch(page({}, { helpUrl: undefined }), 'Help:')
})

await t.test('the form, or where to find it', async (test) => {
  test.match(page({ image: 'a/b"><script>' }), 'value="a/b&quot;&gt;&lt;script&gt;"')
  test.match(page(), /name="token" type="password"\s+required/)
  const anonymous = page({}, { allowAnonymous: true })
  test.match(anonymous, 'Token (empty: without a login)')
  test.notMatch(anonymous, /type="password"\s+required/)
  const open = page({ acceptsToken: false })
  test.notMatch(open, '<form')
  test.match(open, 'Open <a href="https://proxy.example/">https://proxy.example</a>.')
  const plain = page({ acceptsToken: false }, { exposed: new URL('http://127.0.0.1:8400') })
  test.notMatch(plain, 'Open <a')
  test.match(plain, 'quay-proxy explain ocp/4.5:base --server http://127.0.0.1:8400')
})

await t.test('an explanation, and a failure', async (test) => {
  const result = {
    image: 'ocp/4.5:base',
    pullSpec: `${host}/ocp/4.5:base`,
    identity: { username: '<alice>', kind: 'user' },
    reading: { qciTag: 'ocp_4.5_base', namespace: 'ocp', restricted: false },
    access: 'denied',
    reviews: [],
    reason: 'No.',
    next: 'ask <them>',
  } as const
  const denied = page({ result })
  test.match(denied, '<title>You may not pull this image - proxy.example</title>')
  test.match(denied, '<h2>You may not pull this image</h2>')
  test.match(denied, '<code>podman pull proxy.example/ocp/4.5:base</code>')
  test.match(denied, '&lt;alice&gt; (user)')
  test.match(denied, '<strong>Next:</strong> ask &lt;them&gt;')
  const toRun = page({ result: { ...result, next: 'ask a to run: oc policy b' } })
  test.match(toRun, /<strong>Next:<\/strong> ask a to run: <\/p>[\s\S]*<code>oc policy b<\/code>/)
  const same = page({ result: { ...result, next: `podman pull ${host}/ocp/4.5:base` } })
  test.notMatch(same, 'Next:')
  const absent = page({ result: { ...result, access: 'allowed', inQci: 'no' } })
  test.match(absent, '<h2>This image is not in QCI</h2> <p><code>proxy.example/ocp/4.5:base</code></p>')
  test.match(page({ result: { ...result, access: 'unknown' } }), '<h2>It is not known now whether you may')
  const failed = page({ failure: { heading: 'No answer', sentence: 'log <in>.' } })
  test.match(failed, /role="alert">\s*<h2>No answer<\/h2>\s*<p>log &lt;in&gt;\.<\/p>/)
  test.match(failed, '<title>No answer - proxy.example</title>')
})

await t.test('a proxy of robots asks for no token', async (test) => {
  const text = page({}, { robotsOnly: true })
  test.notMatch(text, /<form|oc login|app\.ci cluster/)
  test.match(text, 'podman login -u=ROBOT proxy.example')
})

await t.test('the style and the script are those that the policy allows, to the byte', async (test) => {
  const text = pageOf(frame, content)
  test.ok(text.includes(`<style>${style}</style>`))
  test.ok(text.includes(`<script>${script}</script>`))
})
