import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { readFiles } from '../../src/config/read-files.ts'
import type { FlagValues } from '../../src/config/flags.ts'
import { anotherSelfSigned, selfSigned } from '../support/tls.ts'

/** Files below a folder of the test, by name; their paths. */
const write = (test: Test, contents: Record<string, string>) => {
  const folder = test.testdir(contents)
  for (const name of Object.keys(contents)) chmodSync(join(folder, name), 0o600)
  return (name: string) => join(folder, name)
}

const good = {
  username: 'robot\n',
  password: 'hunter2\n',
  secret: '5e1d8a07c3f94b62a0d71e3c9b58f640\n',
  dockerconfig: JSON.stringify({ auths: { 'quay.io': { auth: btoa('robot:hunter2') } } }),
}

const filesFor = (values: Record<string, string | boolean>) => {
  const problems: string[] = []
  const warnings: string[] = []
  const all = { ...values, upstream: new URL('https://quay.io'), upstreamRepository: 'openshift/ci' }
  return { files: readFiles(all as unknown as FlagValues, problems, warnings), problems, warnings }
}

const robotOf = (path: (name: string) => string) => ({
  robotUsernameFile: path('username'),
  robotPasswordFile: path('password'),
  tokenSecretFile: path('secret'),
})

await t.test('the robot from two files, or from a pull secret', async (test) => {
  const path = write(test, good)
  const two = filesFor(robotOf(path))
  test.strictSame(two.problems, [])
  test.strictSame(two.files?.robot.paths, [path('username'), path('password')])
  test.strictSame(two.files?.robot.parse(['a\nc\n', 'b\nd\n']), [
    { username: 'a', password: 'b' },
    { username: 'c', password: 'd' },
  ])
  test.match(two.files, { tls: undefined, upstreamCa: undefined })
  const one = filesFor({
    robotDockerconfigFile: path('dockerconfig'),
    tokenSecretFile: path('secret'),
  })
  test.strictSame(one.problems, [])
  test.strictSame(one.files?.robot.parse([good.dockerconfig]), [{ username: 'robot', password: 'hunter2' }])
})

await t.test('every missing file is named', async (test) => {
  const { files, problems } = filesFor({ tlsCertFile: 'a' })
  test.equal(files, undefined)
  test.match(problems, [
    /^--robot-username-file is missing: ./,
    /^--robot-password-file is missing: ./,
    /^--token-secret-file is missing: ./,
    /^--tls-key-file is missing: --tls-cert-file needs it/,
  ])
  test.match(filesFor({ tlsKeyFile: 'a' }).problems.at(-1), /^--tls-cert-file is missing: ./)
})

await t.test('robots without their passwords: the flags are named, the contents are not', async (test) => {
  const path = write(test, { ...good, username: 'robot\nanother\n' })
  test.strictSame(filesFor(robotOf(path)).problems, [
    '--robot-username-file and --robot-password-file: they hold one robot a line, in the same order: there are 2 user names and 1 passwords',
  ])
})

await t.test('one sort of robot credential, not both', async (test) => {
  const path = write(test, good)
  const { problems } = filesFor({ ...robotOf(path), robotDockerconfigFile: path('dockerconfig') })
  test.match(problems, [/^--robot-dockerconfig-file replaces --robot-username-file and .*: give one/])
})

await t.test('a pull secret is not searched for an upstream that is not known', async (test) => {
  const path = write(test, good)
  const problems: string[] = []
  const values = {
    robotDockerconfigFile: path('dockerconfig'),
    tokenSecretFile: path('secret'),
    upstream: undefined,
    upstreamRepository: 'openshift/ci',
  }
  test.equal(readFiles(values as unknown as FlagValues, problems, []), undefined)
  test.strictSame(problems, [])
})

await t.test('every file that cannot be read is named with its flag, in one go', async (test) => {
  const folder = test.testdir()
  const away = join(folder, 'away')
  const { problems } = filesFor({
    robotDockerconfigFile: folder,
    tokenSecretFile: away,
    tlsCertFile: away,
    tlsKeyFile: away,
    upstreamCaFile: away,
    kubeconfig: away,
  })
  test.strictSame(problems, [
    `--robot-dockerconfig-file: ${folder} cannot be read (EISDIR)`,
    `--token-secret-file: ${away} cannot be read (ENOENT)`,
    `--tls-cert-file and --tls-key-file: ${away} cannot be read (ENOENT)`,
    `--upstream-ca-file: ${away} cannot be read (ENOENT)`,
    `--kubeconfig: ${away} cannot be read (ENOENT)`,
  ])
})

await t.test('a missing flag hides no problem of another file', async (test) => {
  const path = write(test, { empty: '' })
  const { problems } = filesFor({ robotUsernameFile: path('empty'), tokenSecretFile: path('empty') })
  test.match(problems, [
    /^--robot-password-file is missing/,
    /^--token-secret-file: the token secret file is empty/,
  ])
})

await t.test('empty files and garbage: the flag and the reason, never the content', async (test) => {
  const path = write(test, { empty: '', garbage: 'hunter2-is-not-what-this-should-be' })
  for (const name of ['empty', 'garbage']) {
    const file = path(name)
    const { problems } = filesFor({
      robotDockerconfigFile: file,
      tokenSecretFile: path('empty'),
      tlsCertFile: file,
      tlsKeyFile: file,
      upstreamCaFile: file,
    })
    test.match(problems, [
      /^--robot-dockerconfig-file: the dockerconfigjson is not valid JSON/,
      /^--token-secret-file: the token secret file is empty/,
      /^--tls-cert-file and --tls-key-file: they hold no PEM certificate with its unencrypted private key \(/,
      /^--upstream-ca-file: it holds no PEM certificate/,
    ])
    test.notMatch(problems.join(), 'hunter2')
  }
  const { problems } = filesFor({
    robotUsernameFile: path('garbage'),
    robotPasswordFile: path('empty'),
    tokenSecretFile: path('garbage'),
  })
  test.strictSame(problems, [
    '--robot-username-file and --robot-password-file: the file of the robot password is empty',
  ])
})

await t.test('a certificate and a key: of one pair, or it is said', async (test) => {
  const [ours, theirs] = [selfSigned(), anotherSelfSigned()]
  const folder = test.testdir({ empty: '' })
  const save = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const paths = {
    cert: save('cert', ours.cert),
    key: save('key', ours.key),
    other: save('other', theirs.key),
    empty: join(folder, 'empty'),
  }
  const robot = robotOf((name) => save(name, good[name as keyof typeof good]))
  const tls = (cert: string, key: string) =>
    filesFor({ ...robot, tlsCertFile: cert, tlsKeyFile: key, upstreamCaFile: paths.cert })
  const right = tls(paths.cert, paths.key)
  test.strictSame(right.problems, [])
  const pair = { cert: String(ours.cert), key: String(ours.key) }
  test.strictSame(right.files?.tls?.parse([pair.cert, pair.key]), pair)
  test.equal(right.files?.upstreamCa, pair.cert)
  for (const [cert, key] of [
    [paths.cert, paths.other],
    [paths.cert, paths.empty],
    [paths.empty, paths.key],
    [paths.key, paths.cert],
  ] as const) {
    const { problems } = tls(cert, key)
    test.match(problems, [/^--tls-cert-file and --tls-key-file: they hold no PEM certificate with its/])
    test.notMatch(problems.join(), /BEGIN|PRIVATE/)
  }
})

await t.test('an encrypted key is recognised at the start', async (test) => {
  const { cert } = selfSigned()
  const key = execFileSync('openssl', ['genrsa', '-aes128', '-passout', 'pass:hunter2', '2048'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const path = write(test, { ...good, cert: String(cert), key: String(key) })
  const { problems } = filesFor({
    ...robotOf(path),
    tlsCertFile: path('cert'),
    tlsKeyFile: path('key'),
  })
  test.match(problems, [/unencrypted private key \(/])
})

await t.test('authorities of which one is broken are not taken for good', async (test) => {
  const broken = '-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----\n'
  const { cert } = selfSigned()
  const path = write(test, { ...good, ca: `${String(cert)}${broken}` })
  const { problems } = filesFor({ ...robotOf(path), upstreamCaFile: path('ca') })
  test.match(problems, [/^--upstream-ca-file: it holds a certificate that cannot be read \(/])
})

await t.test(
  'a token secret that could be guessed is a warning, and is refused with the flag',
  async (test) => {
    for (const secret of [
      'a',
      'aaaaaaaaaaaaaaaa',
      'changeme-changeme',
      'changeme-changeme-changeme-changeme',
    ]) {
      const path = write(test, { ...good, secret })
      const { problems, warnings, files } = filesFor(robotOf(path))
      test.strictSame(problems, [])
      test.equal(files?.tokenSecret.parse([secret]).length, 1)
      test.match(warnings, [/^--token-secret-file: line 1 of the token secret .*: openssl rand -hex 32$/])
      test.strictSame(files?.tokenSecret.cautions([secret]), warnings, 'again when it is read again')
      test.strictSame(files?.tokenSecret.cautions([good.secret]), [])
      const strict = filesFor({ ...robotOf(path), requireStrongSecrets: true })
      test.match(strict.problems, [/^--token-secret-file: line 1 .*; --require-strong-secrets refuses that$/])
      test.strictSame(strict.warnings, [])
      test.throws(() => strict.files?.tokenSecret.parse([secret]), /refuses that$/)
      test.equal(strict.files?.tokenSecret.parse([good.secret]).length, 1)
      test.notMatch([...warnings, ...strict.problems].join(), /aaaa|changeme/)
    }
  },
)

await t.test(
  'every file that everybody may read or write is told with its flag and the command',
  async (test) => {
    const { cert, key } = selfSigned()
    const files = { ...good, cert: String(cert), key: String(key), ca: String(cert), kubeconfig: '' }
    const path = write(test, files)
    const given = {
      tlsCertFile: path('cert'),
      tlsKeyFile: path('key'),
      upstreamCaFile: path('ca'),
      kubeconfig: path('kubeconfig'),
    }
    const two = { ...robotOf(path), ...given }
    const one = { robotDockerconfigFile: path('dockerconfig'), tokenSecretFile: path('secret') }
    test.strictSame([filesFor(two).warnings, filesFor(one).warnings], [[], []])
    const robots = '--robot-username-file and --robot-password-file'
    const tls = '--tls-cert-file and --tls-key-file'
    for (const [name, flag, isSecret] of [
      ['username', robots, false],
      ['password', robots, true],
      ['secret', '--token-secret-file', true],
      ['dockerconfig', '--robot-dockerconfig-file', true],
      ['cert', tls, false],
      ['key', tls, true],
      ['ca', '--upstream-ca-file', false],
      ['kubeconfig', '--kubeconfig', true],
    ] as const) {
      const command = isSecret ? 'chmod o-rwx' : 'chmod o-w'
      const values = name === 'dockerconfig' ? one : two
      for (const [mode, may] of [
        [0o644, isSecret ? 'read' : undefined],
        [0o602, 'written'],
        [0o666, isSecret ? 'read and written' : 'written'],
      ] as const) {
        chmodSync(path(name), mode)
        const expected = `${flag}: ${path(name)} can be ${may} by everybody on this machine (mode 0${mode.toString(8)}): ${command} ${path(name)}`
        test.strictSame(filesFor(values).warnings, may === undefined ? [] : [expected])
      }
      chmodSync(path(name), 0o600)
    }
  },
)

await t.test('white space within a credential is reported, without the credential', async (test) => {
  const path = write(test, { ...good, password: 'hunter 2' })
  const { problems, warnings } = filesFor(robotOf(path))
  test.strictSame(problems, [])
  test.match(warnings, [
    /^--robot-username-file and --robot-password-file: the password of robot 1 has white space or control/,
  ])
  test.notMatch(warnings.join(), 'hunter')
})
await t.test('the password of shared state is a file, and its authorities are for TLS', async (test) => {
  const path = write(test, { ...good, empty: ' \n' })
  const given = (values: Record<string, unknown>) =>
    filesFor({ ...robotOf(path), ...(values as Record<string, string>) })
  const url = (text: string) => ({ sharedState: new URL(text) })
  const file = { sharedStatePasswordFile: path('password') }
  const { files, problems } = given({ ...url('redis://proxy@valkey'), ...file })
  test.same(problems, [])
  for (const pasted of ['hunter2\n', '\ufeffhunter2\r\n', 'hunter2\0', '\u200b hunter2\0\n'])
    test.equal(files!.sharedStatePassword!.parse([pasted]), 'hunter2')
  test.equal(files!.sharedStateCa, undefined)
  const ca = { sharedStateCaFile: path('password') }
  const rows: (readonly [Record<string, unknown>, readonly RegExp[]])[] = [
    [url('redis://:hunter2@valkey'), [/put it into a file/]],
    [
      { ...file, ...ca },
      [/password-file needs --shared-state/, /ca-file needs --shared-state/, /no PEM certificate/],
    ],
    [{ ...url('redis://valkey'), ...ca }, [/is for rediss:/, /no PEM certificate/]],
    [{ ...url('rediss://valkey'), ...ca }, [/no PEM certificate/]],
    [{ ...url('rediss://valkey'), sharedStatePasswordFile: path('empty') }, [/it holds no password/]],
  ]
  for (const [values, expected] of rows) {
    const found = given(values).problems
    test.match(found, expected)
    test.equal(found.length, expected.length)
    test.notMatch(found.join(), /hunter2/)
  }
})
