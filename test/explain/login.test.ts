import { chmodSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import t from 'tap'
import type { Test } from 'tap'
import { findLogin, type LoginOptions } from '../../src/explain/login.ts'

const server = new URL('https://proxy.example')
const token = `sha256~${'t'.repeat(43)}`
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
const authFile = (...entries: readonly (readonly [key: string, login: string])[]) =>
  JSON.stringify({
    auths: Object.fromEntries(
      entries.map(([key, login]) => [key, { auth: Buffer.from(login).toString('base64') }]),
    ),
  })

const find = async (more: Partial<LoginOptions>) =>
  await findLogin({
    server,
    tokenFile: undefined,
    environment: {},
    openInput: () => Readable.from(['']),
    ...more,
  })

await t.test('a token of a file, or of standard input', async (test) => {
  const folder = test.testdir({ token: `${token}\n`, empty: '', words: 'error: no token\n' })
  test.strictSame(await find({ tokenFile: `${folder}/token` }), {
    authorization: `Bearer ${token}`,
    from: `${folder}/token`,
  })
  const openInput = () => Readable.from([token.slice(0, 9), `${token.slice(9)}\r\n`])
  test.strictSame(await find({ tokenFile: '-', openInput }), {
    authorization: `Bearer ${token}`,
    from: 'standard input',
  })
  await test.rejects(find({ tokenFile: `${folder}/empty` }), {
    message: `${folder}/empty holds no token: it is empty`,
  })
  await test.rejects(find({ tokenFile: `${folder}/words` }), {
    message: `${folder}/words holds no token: it has white space in it, as an error message has`,
  })
  await test.rejects(find({ tokenFile: `${folder}/absent` }), {
    message: /absent cannot be read \(ENOENT\)$/,
  })
  const long = () => Readable.from(['a'.repeat(20_000), 'b'.repeat(20_000)])
  await test.rejects(find({ tokenFile: '-', openInput: long }), { message: /longer than any token$/ })
  const foreign = () => Readable.from(['a\u0430'])
  await test.rejects(find({ tokenFile: '-', openInput: foreign }), {
    message: /characters that no token has$/,
  })
})

await t.test('the auth files of podman and docker, in their order', async (test) => {
  const folder = test.testdir({
    run: {
      containers: { 'auth.json': authFile(['proxy.example', 'alice:from-run'], ['other.example', 'a:b']) },
    },
    home: {
      '.config': {
        containers: { 'auth.json': authFile(['https://proxy.example/v2/', 'alice:from-config']) },
      },
      '.docker': { 'config.json': authFile(['proxy.example', 'alice:from-docker']) },
    },
    helped: '{"auths":{"proxy.example":{}},"credsStore":"x"}',
    docker: { 'config.json': '{"credHelpers":{"other.example":"x"}}' },
    broken: '{"auths":{"proxy.example":{"auth":"!"}}}',
    other: authFile(['other.example', 'a:b']),
  })
  const from = async (environment: LoginOptions['environment']) => (await find({ environment })).authorization
  const [run, home] = [`${folder}/run`, `${folder}/home`]
  test.equal(await from({ XDG_RUNTIME_DIR: run, HOME: home }), basic('alice:from-run'))
  test.equal(await from({ HOME: home }), basic('alice:from-config'))
  test.equal(await from({ HOME: home, XDG_CONFIG_HOME: '/absent' }), basic('alice:from-docker'))
  test.equal(
    await from({ REGISTRY_AUTH_FILE: `${run}/containers/auth.json`, HOME: home }),
    basic('alice:from-run'),
  )
  await test.rejects(find({ environment: { REGISTRY_AUTH_FILE: `${folder}/broken` } }), {
    message: /broken: the login for proxy.example in it cannot be used; podman login proxy.example again/,
  })
  await test.rejects(find({ environment: { REGISTRY_AUTH_FILE: folder } }), { message: /\(EISDIR\)$/ })
  for (const environment of [
    { REGISTRY_AUTH_FILE: `${folder}/other` },
    { REGISTRY_AUTH_FILE: `${folder}/helped` },
    { DOCKER_CONFIG: `${folder}/docker` },
    {},
  ])
    await test.rejects(find({ environment: { PATH: '/absent', ...environment } }), {
      message:
        'there is no login for proxy.example in the auth files of podman and docker, and oc is not installed: give --token-file, or podman login proxy.example',
    })
})

/** A folder with an `oc` that does this. */
const oc = (test: Test, script: string): string => {
  const folder = test.testdir({})
  writeFileSync(`${folder}/oc`, `#!/bin/sh\n${script}\n`)
  chmodSync(`${folder}/oc`, 0o755)
  return folder
}

await t.test('oc, if no file has a login', async (test) => {
  const good = oc(test, `[ "$*" = "whoami -t" ] && echo ${token}`)
  test.strictSame(await find({ environment: { PATH: good } }), {
    authorization: `Bearer ${token}`,
    from: 'oc whoami -t',
  })
})

await t.test('attack: the output of oc is a secret that is no token', async (test) => {
  const bad = oc(test, 'echo "hunter 2"; exit 1')
  const error = await find({ environment: { PATH: bad } }).catch((caught: unknown) => caught as Error)
  test.match(error, {
    message: /oc whoami -t prints no token: give --token-file, or podman login proxy.example$/,
  })
  test.notMatch(JSON.stringify(error, Object.getOwnPropertyNames(error)), 'hunter')
})
