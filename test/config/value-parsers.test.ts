import Fastify from 'fastify'
import t from 'tap'
import {
  parseDuration,
  parseHost,
  parseListenAddress,
  parseNetwork,
  parseOrigin,
  parseWebUrl,
  parseStoreUrl,
  parseSize,
} from '../../src/config/value-parsers.ts'

await t.test('sizes as Kubernetes writes them', async (test) => {
  const rows: [string, number | undefined][] = [
    ['0', 0],
    ['500000', 500_000],
    ['64Mi', 67_108_864],
    ['1.5Gi', 1_610_612_736],
    ['2k', 2000],
    ['3Ki', 3072],
    ['1M', 1_000_000],
    ['1G', 1_000_000_000],
    ['2T', 2_000_000_000_000],
    ['1.5Ti', 1_649_267_441_664],
    ['536870912000', 536_870_912_000],
    ['999999999999999Ti', undefined],
    ['64MB', undefined],
    ['-1', undefined],
    ['1e6', undefined],
    ['', undefined],
    ['Mi', undefined],
  ]
  for (const [text, bytes] of rows) test.equal(parseSize(text), bytes, text)
})

await t.test('durations as Go writes them', async (test) => {
  const rows: [string, number | undefined][] = [
    ['90s', 90_000],
    ['5m', 300_000],
    ['6h', 21_600_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['1.001s', 1001],
    ['0.07h', 252_000],
    ['0.5ms', 1],
    ['0.1ms', 1],
    ['0.0s', 0],
    [`${'9'.repeat(400)}h`, undefined],
    ['999999999999999h', undefined],
    ['250ms', 250],
    ['0', 0],
    ['0s', 0],
    ['10', undefined],
    ['', undefined],
    ['-5m', undefined],
    ['5 m', undefined],
    ['5d', undefined],
    ['m', undefined],
    ['.5s', undefined],
    ['5m3', undefined],
  ]
  for (const [text, milliseconds] of rows) test.equal(parseDuration(text), milliseconds, JSON.stringify(text))
})

await t.test('addresses as Go listens on them', async (test) => {
  const rows: [string, { host: string; port: number } | undefined][] = [
    ['127.0.0.1:8400', { host: '127.0.0.1', port: 8400 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:8400', { host: '::1', port: 8400 }],
    [':65535', { host: '::', port: 65_535 }],
    [':65536', undefined],
    ['127.0.0.1', undefined],
    ['8400', undefined],
    ['::1:8400', undefined],
    ['[]:8400', undefined],
    ['127.0.0.1:http', undefined],
    ['', undefined],
  ]
  for (const [text, address] of rows) test.strictSame(parseListenAddress(text), address, JSON.stringify(text))
})

await t.test('hosts: what stands between https:// and the path', async (test) => {
  for (const text of ['example.org', 'example.org:8443', '127.0.0.1', 'a'])
    test.equal(parseHost(text), text, text)
  for (const text of ['', 'https://example.org', 'example.org/', 'a b', '-a', 'a"', 'a:', 'a:123456', 'u@a'])
    test.equal(parseHost(text), undefined, JSON.stringify(text))
})

await t.test('networks: what the server takes for a trusted proxy, and only that', async (test) => {
  for (const text of ['10.0.0.1', '10.0.0.0/8', '10.0.0.0/1', '::1', 'fd00::/8', '::ffff:10.0.0.0/104']) {
    test.equal(parseNetwork(text), text, text)
    test.doesNotThrow(() => Fastify({ trustProxy: [text] }), text)
  }
  const refused = [
    '999.1.1.1/99',
    '10.0.0.0/33',
    'fd00::/129',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/',
    '10.0.0.0/8/8',
  ]
  for (const text of [...refused, '', 'loopback', '/8', '10.0.0.0/-1', '10.0.0.0/8.0'])
    test.equal(parseNetwork(text), undefined, JSON.stringify(text))
  for (const text of ['10', '10/8', '010.0.0.1', '0x7f.1'])
    test.equal(parseNetwork(text), undefined, `${text} is not an address to everybody`)
})

await t.test('origins: a scheme and a host, nothing else', async (test) => {
  for (const text of ['https://quay.io', 'http://127.0.0.1:8400', 'https://quay.io/'])
    test.equal(parseOrigin(text)?.origin, new URL(text).origin, text)
  const wrong = ['quay.io', 'ftp://quay.io', 'https://u:p@quay.io', 'https://quay.io/v2', 'https://quay.io?a']
  for (const text of [...wrong, 'https://quay.io#a', ''])
    test.equal(parseOrigin(text), undefined, JSON.stringify(text))
})

await t.test('the URL of a store', async (test) => {
  for (const text of ['redis://a', 'rediss://user@a:6380/15', 'redis://[::1]:1/', 'redis://:password@a'])
    test.equal(parseStoreUrl(text)?.href, new URL(text).href, text)
  for (const text of [
    '',
    'a',
    'a:6379',
    'http://a',
    'redis:a',
    'redis:///1',
    'redis://a/x',
    'redis://a/1/2',
    'redis://a?b',
    'redis://a#b',
  ])
    test.equal(parseStoreUrl(text), undefined, text)
})

await t.test('a page on the web, without a user', async (test) => {
  for (const text of ['https://help.example/page?a=b#c', 'http://127.0.0.1:1/'])
    test.equal(parseWebUrl(text)?.href, text)
  for (const text of ['', 'help', 'ftp://a', 'javascript:alert(1)', 'https://a:b@c/', 'https://a@c/'])
    test.equal(parseWebUrl(text), undefined, text)
})
