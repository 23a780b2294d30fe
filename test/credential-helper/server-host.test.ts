import t from 'tap'
import { normalizedHost } from '../../src/credential-helper/server-host.ts'

await t.test('the forms in which clients write a server', async (test) => {
  for (const [text, host] of [
    ['quay-proxy.example', 'quay-proxy.example'],
    ['QUAY-proxy.Example', 'quay-proxy.example'],
    ['https://quay-proxy.example', 'quay-proxy.example'],
    ['https://quay-proxy.example/v1/', 'quay-proxy.example'],
    ['quay-proxy.example/ocp/4.5', 'quay-proxy.example'],
    ['quay-proxy.example:443', 'quay-proxy.example'],
    ['https://quay-proxy.example:8443/', 'quay-proxy.example:8443'],
    ['[::1]:5000', '[::1]:5000'],
  ] as const)
    test.equal(normalizedHost(text), host, text)
})

await t.test('attack: a server URL that helper and client could read as different hosts', async (test) => {
  for (const text of [
    '',
    'http://quay-proxy.example',
    'https://quay-proxy.example@evil.example',
    String.raw`https://quay-proxy.example\@evil.example`,
    'https://evil.example#@quay-proxy.example',
    'quay-proxy.example?evil.example',
    'quay-proxy.example\nevil.example',
    'quay-proxy.example evil.example',
    'quay-proxy.example:port',
    'https:quay-proxy.example',
    '//quay-proxy.example',
  ])
    test.equal(normalizedHost(text), undefined, text)
  test.equal(normalizedHost('https://quay-proxy.example.evil.example'), 'quay-proxy.example.evil.example')
})
