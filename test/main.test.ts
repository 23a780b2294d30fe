import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import manifest from '../package.json' with { type: 'json' }
import { help } from '../src/config/help.ts'
import { startKubernetesApi } from '../src/sandbox/app-ci/kubernetes-api.ts'
import { quayFor, robot } from './sandbox/quay/quay-client.ts'
import { anotherSelfSigned, selfSigned } from './support/tls.ts'

const root = resolve(import.meta.dirname, '..')
const secret = 'hunter2-hunter2-hunter2'

const start = (
  test: Test,
  args: readonly string[],
  environment: Record<string, string> = {},
  input = '',
): ChildProcessWithoutNullStreams => {
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), ...args], {
    env: { ...process.env, ...environment },
  })
  child.stdin.end(input)
  test.teardown(() => child.kill('SIGKILL'))
  return child
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  /** Lines. */
  readonly stderr: readonly string[]
}

const ended = async (child: ChildProcessWithoutNullStreams): Promise<Ended> => {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr: stderr.split('\n').slice(0, -1) }
}

/** It did not start: each problem on a line of its own, for a person. */
const refused = async (
  test: Test,
  args: readonly string[],
  problems: readonly (string | RegExp)[],
  environment: Record<string, string> = {},
): Promise<void> => {
  const { code, stdout, stderr } = await ended(start(test, args, environment))
  test.equal(code, 2, 'exit code')
  test.equal(stdout, '', 'nothing on stdout')
  test.match(
    stderr,
    problems.map((problem) =>
      typeof problem === 'string' ? `quay-proxy: ${problem}` : new RegExp(`^quay-proxy: ${problem.source}`),
    ),
  )
  test.equal(stderr.length, problems.length, stderr.join('\n'))
  test.notMatch(stderr.join('\n'), /^ {4}at |hunter2|PRIVATE KEY/m)
}

const write = (test: Test, contents: Record<string, string | Buffer>) => {
  const folder = test.testdir()
  for (const [name, content] of Object.entries(contents))
    writeFileSync(join(folder, name), content, { mode: 0o600 })
  return (name: string) => join(folder, name)
}

const good = { username: 'robot', password: secret, secret: '5e1d8a07c3f94b62a0d71e3c9b58f640' }
const secretFlags = (path: (name: string) => string) => [
  `--robot-username-file=${path('username')}`,
  `--robot-password-file=${path('password')}`,
  `--token-secret-file=${path('secret')}`,
]

/** An app.ci, a quay, and the flags that lead to them. */
const surroundings = async (test: Test) => {
  const kubernetes = await startKubernetesApi({ objects: [] })
  test.teardown(() => kubernetes.close())
  const quay = await quayFor(test)
  const files = { username: robot.username, password: robot.password, secret: good.secret }
  const path = write(test, { ...files, kubeconfig: kubernetes.kubeconfig() })
  return {
    quay,
    path,
    flags: [...secretFlags(path), `--upstream=${quay.url}`, `--kubeconfig=${path('kubeconfig')}`],
  }
}

/** A line of the log of a child that has this message. */
const logged = async (child: ChildProcessWithoutNullStreams, message: string) => {
  let seen = ''
  while (true) {
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
    seen += String(chunk)
    const line = seen.split('\n').find((candidate) => candidate.includes(`"msg":"${message}"`))
    if (line !== undefined) return JSON.parse(line) as Readonly<Record<string, string>>
  }
}

t.jobs = 4

void t.test('--help is the text of the flags, --version that of the package', async (test) => {
  const [shown, version] = await Promise.all([
    ended(start(test, ['serve', '--bogus', '--help'])),
    ended(start(test, ['--version'])),
  ])
  test.strictSame(shown, { code: 0, stdout: `${help()}\n`, stderr: [] })
  test.strictSame(version, { code: 0, stdout: `${manifest.version}\n`, stderr: [] })
})

void t.test('it can be started by its own name, as npx does', async (test) => {
  const child = spawn(join(root, 'src/main.ts'), ['--version'], {
    env: { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` },
  })
  test.teardown(() => child.kill('SIGKILL'))
  test.strictSame(await ended(child), { code: 0, stdout: `${manifest.version}\n`, stderr: [] })
})

void t.test('a command that is none: that alone is told', async (test) => {
  for (const name of ['explian', 'help', 'version', 'audit-rport', 'constructor', ''])
    await refused(
      test,
      [name, 'ocp/4.5:base'],
      [`${JSON.stringify(name)} is not a command; --help lists them`],
    )
})

void t.test('bad flags: all of them at once', async (test) => {
  const args = [
    'serve',
    '--bogus',
    '--upstream=a',
    '--upstream=b',
    '--grace-period=10',
    'there',
    '--kubeconfig',
  ]
  await refused(
    test,
    args,
    [
      '"there" is not a flag; flags begin with --',
      '--bogus is not a flag; --help lists them',
      '--upstream is given twice',
      '--kubeconfig needs a value: the path of a file',
      'QUAY_PROXY_NONSENSE is not the name of a flag; --help lists them',
      '--grace-period=10 is not valid: expected a duration with its unit, such as 90s, 5m or 6h',
      /--upstream=a is not valid: expected an origin/,
      /--robot-username-file is missing: ./,
      /--robot-password-file is missing: ./,
      /--token-secret-file is missing: ./,
    ],
    { QUAY_PROXY_NONSENSE: secret },
  )
})

void t.test('bad files, each in its own way: the reason, never the content', async (test) => {
  const [{ cert }, { key }] = [selfSigned(), anotherSelfSigned()]
  const path = write(test, { garbage: secret, empty: '', cert: cert ?? '', key: key ?? '' })
  const folder = path('')
  await refused(
    test,
    [
      `--robot-dockerconfig-file=${path('garbage')}`,
      `--token-secret-file=${path('empty')}`,
      `--tls-cert-file=${path('cert')}`,
      `--tls-key-file=${path('key')}`,
      `--upstream-ca-file=${path('garbage')}`,
      `--kubeconfig=${folder}`,
    ],
    [
      '--robot-dockerconfig-file: the dockerconfigjson is not valid JSON',
      '--token-secret-file: the token secret file is empty; make one with: openssl rand -hex 32',
      /--tls-cert-file and --tls-key-file: they hold no PEM certificate with its .*mismatch/,
      '--upstream-ca-file: it holds no PEM certificate',
      `--kubeconfig: ${folder} cannot be read (EISDIR)`,
    ],
  )
})

void t.test('a token secret that could be guessed is refused where that is asked for', async (test) => {
  const path = write(test, { ...good, secret })
  await refused(
    test,
    [...secretFlags(path), '--require-strong-secrets'],
    [
      /--token-secret-file: line 1 of the token secret has fewer than 32 .*: openssl rand -hex 32; --require-strong-secrets refuses that$/,
    ],
  )
})

void t.test('a kubeconfig of garbage', async (test) => {
  const path = write(test, { ...good, kubeconfig: `users: [{token: ${secret}` })
  const kubeconfig = path('kubeconfig')
  const problem = `--kubeconfig: ${kubeconfig} is not a valid kubeconfig`
  await refused(test, [...secretFlags(path), `--kubeconfig=${kubeconfig}`], [problem])
})

void t.test('a kubeconfig with the name of a missing file', async (test) => {
  const cluster = "{ server: 'https://127.0.0.1:1', certificate-authority: /away.crt }"
  const kubeconfig = `
clusters: [{ name: c, cluster: ${cluster} }]
users: [{ name: u, user: { token: ${secret} } }]
contexts: [{ name: x, context: { cluster: c, user: u } }]
current-context: x
`
  const path = write(test, { ...good, kubeconfig })
  const file = path('kubeconfig')
  const problem = `--kubeconfig: ${file} names /away.crt as certificate-authority, which cannot be read (ENOENT)`
  await refused(test, [...secretFlags(path), `--kubeconfig=${file}`], [problem])
})

void t.test('an address in use', async (test) => {
  const { flags } = await surroundings(test)
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  test.teardown(() => other.close())
  const address = `127.0.0.1:${(other.address() as AddressInfo).port}`
  const problem = new RegExp(`--listen-addr: .*EADDRINUSE.* ${address}`)
  await refused(test, [...flags, `--listen-addr=${address}`], [problem])
})

void t.test("the predecessor's arguments start it, over https; SIGTERM ends it with 0", async (test) => {
  const { quay, path, flags } = await surroundings(test)
  const tls = selfSigned()
  const files = { cert: tls.cert ?? '', key: tls.key ?? '', username: robot.username, secret }
  write(test, { ...files, password: robot.password, kubeconfig: flags.join() })
  const kubernetes = await startKubernetesApi({ objects: [] })
  test.teardown(() => kubernetes.close())
  writeFileSync(path('kubeconfig'), kubernetes.kubeconfig())
  const args = ['--listen-addr', '127.0.0.1:0', '--exposed-host=proxy.example', '--gracePeriod=40ms']
  args.push('--robot-username-file', path('username'), '--robot-password-file', path('password'))
  args.push('--token-secret-file', path('secret'), '--token-validity', '6h', '--interval=1h')
  args.push('--ignore-sar-check', '--tls-cert-file', path('cert'), '--tls-key-file', path('key'))
  const child = start(test, args, {
    QUAY_PROXY_KUBECONFIG: path('kubeconfig'),
    QUAY_PROXY_UPSTREAM: quay.url,
  })
  const end = ended(child)
  const { url = '' } = await logged(child, 'listening')
  test.match(url, /^https:/)
  const dispatcher = new Agent({ connect: { ca: String(tls.cert), servername: 'localhost' } })
  test.teardown(() => dispatcher.destroy())
  const { statusCode, headers, body } = await request(`${url}/v2/`, { dispatcher })
  await body.dump()
  test.equal(statusCode, 401)
  test.match(headers['www-authenticate'], 'realm="https://proxy.example/v2/auth"')
  child.kill('SIGTERM')
  const { code, stdout, stderr } = await end
  test.strictSame([code, stderr], [0, []])
  const warnings = stdout.split('\n').filter((line) => line.includes('"level":"warn"'))
  test.match(warnings, [
    /--interval has no effect/,
    /--ignore-sar-check has no effect/,
    // The predecessor took any secret: so does this, and says what it is worth.
    /line 1 of the token secret has fewer than 32 characters: .*openssl rand -hex 32/,
  ])
  const messages = stdout
    .split('\n')
    .slice(0, -1)
    .map((line) => (JSON.parse(line) as { msg: string }).msg)
  test.strictSame(
    messages.filter((message) => ['listening', 'request', 'stopping'].includes(message)),
    ['listening', 'request', 'stopping'],
    'whole lines, in their order, to the last',
  )
  test.notMatch(stdout, secret)
})

void t.test('a second signal ends it at once, pulls or not', async (test) => {
  const { flags } = await surroundings(test)
  const child = start(test, ['serve', ...flags, '--listen-addr=127.0.0.1:0', '--grace-period=10m'])
  const end = ended(child)
  await logged(child, 'listening')
  child.kill('SIGINT')
  await logged(child, 'stopping')
  child.kill('SIGTERM')
  test.equal((await end).code, 1)
})

void t.test('sandbox: a flag that is none', async (test) => {
  const problem = '--imagestreams is not a flag of sandbox; --help lists them'
  await refused(test, ['sandbox', '--imagestreams=watch'], [problem])
})

void t.test('sandbox: a port in use', async (test) => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  test.teardown(() => other.close())
  const { port } = other.address() as AddressInfo
  const problem = new RegExp(`listen EADDRINUSE: .*:${port}: choose another with --port$`)
  await refused(test, ['sandbox', `--port=${port}`], [problem])
})

void t.test('sandbox: a folder of RBAC that is not there', async (test) => {
  const away = join(test.testdir(), 'away')
  await refused(
    test,
    ['sandbox', `--rbac=${away}`],
    [new RegExp(`cannot read the manifests below ${away}: ENOENT`)],
  )
})

void t.test('sandbox --check pulls everything, says so and is gone', async (test) => {
  const { code, stdout, stderr } = await ended(start(test, ['sandbox', '--check']))
  test.strictSame([code, stderr], [0, []])
  test.match(
    stdout,
    /somebody-of-qci-image-pullers pulls ocp\/4\.5:base[\s\S]*every digest right[\s\S]*\nAll as it should be\.\n$/,
  )
})

void t.test(
  'sandbox --check with RBAC of others alone: its identities, and what RBAC lets them pull',
  async (test) => {
    const group = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'hive-team' }
    const binding = (namespace: string) => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'image-puller', namespace },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:image-puller' },
      subjects: [group],
    })
    const directory = test.testdir({
      a: { '_config.yaml': 'supplementalCIImages: {}', 'hive.json': JSON.stringify(binding('my-team')) },
      b: { 'more.json': JSON.stringify(binding('ocp-priv')), 'dashboard.json': '{}' },
    })
    const args = ['a', 'b'].map((folder) => `--rbac=${join(directory, folder)}`)
    const { code, stdout, stderr } = await ended(start(test, ['sandbox', '--check', ...args]))
    test.strictSame([code, stderr], [0, []])
    test.match(stdout, `${join(directory, 'a/_config.yaml')}: its name begins with _`)
    test.match(stdout, `${join(directory, 'b/dashboard.json')}, document 1: not a Kubernetes object`)
    test.match(stdout, '# somebody-of-hive-team, of the group hive-team: my-team, ocp-priv')
    test.match(stdout, /somebody-of-hive-team pulls ocp-priv\/4\.5:embargoed\n\n {2}pulled sha256:/)
    test.notMatch(stdout, 'somebody-of-qci-image-pullers', 'the examples are not there')
  },
)

void t.test('sandbox --check --as: a chosen user', async (test) => {
  const args = ['--as=group:qci-image-pullers', '--as', 'system:serviceaccount:my-team:image-puller']
  const { code, stdout } = await ended(start(test, ['sandbox', '--check', ...args]))
  test.equal(code, 0)
  test.match(stdout, /-u somebody-of-qci-image-pullers [\s\S]*-u system:serviceaccount:my-team:image-puller /)
  test.notMatch(stdout, 'mallory')
})

void t.test('sandbox stays up until a signal', async (test) => {
  const child = start(test, ['sandbox', '--port=0'])
  const end = buffer(child.stdout)
  let seen = ''
  while (!seen.includes('Up until Ctrl-C')) seen += String((await once(child.stdout, 'data'))[0])
  const port = Number(/podman pull --tls-verify=false 127\.0\.0\.1:(\d+)/.exec(seen)?.[1])
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.destroy()
  child.kill('SIGINT')
  test.strictSame(await once(child, 'exit'), [0, null])
  await end
})

void t.test('audit-report: a file, standard input, and what is neither', async (test) => {
  const line = JSON.stringify({
    time: '2026-11-20T21:55:19.000Z',
    difference: 'loss',
    identity: 'system:serviceaccount:my-team:default',
    kind: 'service-account',
    namespace: 'ocp',
    image: 'ocp_4.5_base',
    openedBy: ['image-puller', 'qci-wide'],
    msg: 'audit',
  })
  const path = write(test, { log: `garbage\n${line}\n`, garbage: 'garbage\n' })
  const read = await ended(start(test, ['audit-report', path('log')]))
  test.strictSame([read.code, read.stderr], [0, []])
  const command =
    'oc policy add-role-to-user system:image-puller system:serviceaccount:my-team:default -n ocp'
  test.match(read.stdout, command)
  const child = start(test, ['audit-report', '--json'], {}, `${line}\n${line}`)
  const { code, stdout } = await ended(child)
  test.equal(code, 0)
  test.match(JSON.parse(stdout), { losses: [{ count: 2, keptBy: [command] }] })
  const unread = start(test, ['audit-report', path('log')])
  unread.stdout.destroy()
  const [left, problems] = await Promise.all([once(unread, 'exit'), text(unread.stderr)])
  test.strictSame([left, problems], [[0, null], ''], 'nobody reads to the end')
  await refused(test, ['audit-report', path('away')], [`${path('away')} cannot be read (ENOENT)`])
  await refused(test, ['audit-report', path('garbage')], [/.*garbage: of 1 lines none is about a decision/])
  await refused(test, ['audit-report', '--jsn'], ['--jsn is not a flag of audit-report; --help lists them'])
})

void t.test('cache: what a directory holds', async (test) => {
  const directory = test.testdir({ version: 'quay-proxy cache 1\n' })
  const { stdout, code } = await ended(start(test, ['cache', 'stats', `--cache-dir=${directory}`]))
  test.match(stdout, 'blobs: 0, 0.0 MiB')
  test.equal(code, 0)
  await refused(test, ['cache', 'stats'], [/cache needs --cache-dir=DIR/])
  await refused(
    test,
    ['cache', 'stats', '--cache-dir=/absent'],
    ['--cache-dir=/absent cannot be read (ENOENT)'],
  )
})

void t.test('explain: what decides about a reference', async (test) => {
  const { code, stdout } = await ended(
    start(test, ['explain', 'team-x/app:a', '--restricted-namespaces=team-*']),
  )
  test.equal(code, 0)
  test.match(stdout, /QCI tag +team-x_app_a\n[\s\S]*restricted +yes[\s\S]* -n team-x\n$/)
  await refused(test, ['explain'], [/explain takes one reference/])
  await refused(test, ['explain', 'base'], [/"base" is not a reference/])
  await refused(test, ['explain', '--foo', 'a/b'], ['--foo is not a flag of explain; --help lists them'])
})
