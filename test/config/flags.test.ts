import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import {
  aliases,
  environmentName,
  flags,
  deprecatedFlags,
  booleanFlags,
  type FlagName,
} from '../../src/config/flags.ts'
import { flagsDocument } from './flags-document.ts'

await t.test('every fallback is a value of its own flag', async (test) => {
  for (const [name, { fallback, parse }] of Object.entries(flags))
    if (fallback !== undefined) test.not(parse(fallback), undefined, name)
})

await t.test('every flag says what it is for, and what a value looks like', async (test) => {
  for (const [name, { help, expected }] of Object.entries(flags)) {
    test.match(name, /^[a-z]+(?:-[a-z]+)*$/)
    test.match(help, /^\S.{5,90}$/, name)
    test.match(expected, /^\S.{3,90}$/, name)
  }
})

await t.test('old names lead to flags, and are none themselves', async (test) => {
  for (const [old, name] of Object.entries(aliases)) {
    test.ok(Object.hasOwn(flags, name), name)
    test.notOk(Object.hasOwn(flags, old), old)
  }
  for (const name of Object.keys(deprecatedFlags)) test.notOk(Object.hasOwn(flags, name), name)
  for (const name of booleanFlags)
    test.ok(Object.hasOwn(deprecatedFlags, name) || Object.hasOwn(flags, name), name)
})

await t.test('values that are taken, and those that are not', async (test) => {
  const rows: [FlagName, string, unknown][] = [
    ['exposed-host', 'example.org:8443', 'example.org:8443'],
    ['exposed-host', 'https://example.org', undefined],
    ['robot-username-file', '/a', '/a'],
    ['robot-username-file', '', undefined],
    ['upstream-repository', 'openshift/ci', 'openshift/ci'],
    ['upstream-repository', 'openshift', undefined],
    ['upstream-repository', 'a/b/c', undefined],
    ['upstream-repository', '../ci', undefined],
    ['require-strong-secrets', 'true', true],
    ['require-strong-secrets', 'false', false],
    ['require-strong-secrets', 'yes', undefined],
    ['token-validity', '6h', 21_600_000],
    ['token-validity', '59s', undefined],
    ['token-validity', '6', undefined],
    ['max-upstream-connections', '1', 1],
    ['max-upstream-connections', '0', undefined],
    ['max-upstream-connections', '1e3', undefined],
    ['upstream-limits', 'none', 'none'],
    ['upstream-limits', 'off', undefined],
    ['replicas', '3', 3],
    ['shared-state', 'rediss://proxy@valkey:6379/1', new URL('rediss://proxy@valkey:6379/1')],
    ['shared-state', 'redis://[::1]', new URL('redis://[::1]')],
    ['shared-state', 'http://valkey', undefined],
    ['shared-state', 'redis:valkey', undefined],
    ['shared-state', 'redis:///1', undefined],
    ['shared-state', 'redis://valkey/a', undefined],
    ['shared-state', 'redis://valkey?db=1', undefined],
    ['shared-state', 'redis://valkey#1', undefined],
    ['shared-state', 'valkey', undefined],
    ['state-dir', '/state', '/state'],
    ['state-dir', '', undefined],
    ['stall-timeout', '10s', 10_000],
    ['stall-timeout', '0s', undefined],
    ['stall-timeout', 'soon', undefined],
    ['manifest-cache-bytes', '64Mi', 67_108_864],
    ['manifest-cache-bytes', '-1', undefined],
    ['cache-dir', '/cache', '/cache'],
    ['cache-dir', '', undefined],
    ['cache-bytes', '500Gi', 536_870_912_000],
    ['cache-bytes', '0', undefined],
    ['cache-bytes', 'much', undefined],
    ['blob-delivery', 'redirect', 'redirect'],
    ['blob-delivery', 'proxy', undefined],
    ['qci-namespace', 'ocp', 'ocp'],
    ['qci-namespace', 'OCP', undefined],
    ['restricted-namespaces', '*-priv, secret,', ['*-priv', 'secret']],
    ['restricted-namespaces', '', []],
    ['restricted-namespaces', 'a_b', undefined],
    ['restricted-namespaces', '-a', undefined],
    ['unknown-digests', 'deny', 'deny'],
    ['unknown-digests', 'maybe', undefined],
    ['authorization', 'audit', 'audit'],
    ['authorization', 'off', undefined],
    ['allow-anonymous', 'true', true],
    ['allow-anonymous', 'false', false],
    ['allow-anonymous', 'yes', undefined],
    ['imagestreams', 'watch', 'watch'],
    ['imagestreams', 'list', undefined],
    ['token-audience', 'a,https://b', ['a', 'https://b']],
    ['token-audience', 'a b', undefined],
    ['token-format', 'any', 'any'],
    ['token-format', 'openshift', 'openshift'],
    ['token-format', 'jwt', undefined],
    ['trusted-proxies', '10.0.0.0/8,::1', ['10.0.0.0/8', '::1']],
    ['trusted-proxies', 'everybody', undefined],
    ['trusted-proxies', '10.0.0.0/8,999.1.1.1/99', undefined],
    ['log-level', 'silent', 'silent'],
    ['log-level', 'loud', undefined],
  ]
  for (const [name, text, value] of rows)
    test.strictSame(flags[name].parse(text), value, `--${name}=${JSON.stringify(text)}`)
})

await t.test('a flag whose values can be listed lists them all', async (test) => {
  const listed = Object.entries(flags).filter(([, { choices }]) => choices.length > 0)
  for (const [name, { choices, expected, parse }] of listed) {
    test.equal(choices.join(' or '), expected, name)
    for (const choice of choices) test.not(parse(choice), undefined, name)
  }
  const unlisted = Object.entries(flags).filter(([, { choices }]) => choices.length === 0)
  for (const [name, { expected }] of unlisted) test.notMatch(expected, /^\S+ or \S+$/, name)
})

await t.test('the name in the environment', async (test) => {
  test.equal(environmentName('listen-addr'), 'QUAY_PROXY_LISTEN_ADDR')
})

await t.test('no variable that the tests want exported keeps the proxy from starting', async (test) => {
  const names = new Set(Object.keys(flags).map(environmentName))
  const files = ['README.md', '.ci/run', 'test/e2e/tools/build', ...globSync('test/e2e/**/*.ts')]
  test.ok(files.length > 10)
  for (const file of files)
    for (const [name] of readFileSync(file, 'utf8').matchAll(/QUAY_PROXY_[A-Z_]*[A-Z]/g))
      test.ok(names.has(name), `${file}: ${name}`)
})

await t.test('docs/flags.md is made from the table', async (test) => {
  // Prettier sets the columns.
  const cells = (text: string) =>
    text
      .split('\n')
      .map((line) => line.replaceAll(/ {2,}/g, ' ').replaceAll(/-{3,}/g, '---'))
      .filter((line) => line !== '')
  test.strictSame(cells(readFileSync('docs/flags.md', 'utf8')), cells(flagsDocument()), 'or run npm run docs')
})
