/**
 * The program as a process: what no test of `cli` can see. The commands themselves run within the process of their tests, in test/cli.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { Agent, request } from 'undici'
import manifest from '../package.json' with { type: 'json' }
import { help } from '../src/config/help.ts'
import { startKubernetesApi } from '../src/sandbox/app-ci/kubernetes-api.ts'
import { testProblems } from './cli/fake-io.ts'
import { auditLoss, surroundings, write } from './cli/surroundings.ts'
import { robot } from './sandbox/quay/quay-client.ts'
import { temporaryFolder } from './sandbox/temporary-folder.ts'
import { spawnPlainNode } from './support/program.ts'
import { selfSigned } from './support/tls.ts'

const root = resolve(import.meta.dirname, '..')
/** Too short to be a good token secret. */
const secret = 'hunter2-hunter2-hunter2'
/** V8 measures coverage less precisely in functions that come from a compile cache. */
const measured = { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' }

const spawned = (
  test: Test,
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = measured,
): ChildProcessWithoutNullStreams => {
  const child = spawn(file, args, { env })
  test.teardown(() => child.kill('SIGKILL'))
  return child
}

const start = (
  test: Test,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildProcessWithoutNullStreams => {
  const child = spawnPlainNode([join(root, 'bin/quay-proxy.js'), ...args], {
    env: { ...process.env, ...env },
  })
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

/** All output up to a text; what comes after it is read and dropped. */
const printed = async (child: ChildProcessWithoutNullStreams, word: string): Promise<string> => {
  let seen = ''
  while (!seen.includes(word)) seen += String((await once(child.stdout, 'data'))[0])
  child.stdout.resume()
  return seen
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

void t.test('it can be started by its own name, as npx does', async (test) => {
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`
  const child = spawned(test, join(root, manifest.bin['quay-proxy']), ['--help'], {
    ...measured,
    PATH: path,
  })
  test.strictSame(await ended(child), { code: 0, stdout: `${help()}\n`, stderr: [] })
})

void t.test('a Node.js that cannot read TypeScript: one sentence, which says what to do', async (test) => {
  const args = ['--no-strip-types', join(root, manifest.bin['quay-proxy']), 'sandbox']
  const { code, stdout, stderr } = await ended(spawned(test, process.execPath, args))
  test.strictSame([code, stdout], [2, ''])
  testProblems(test, stderr, [/Node\.js v\d+\S+ is too old: run npm ci, /])
})

void t.test('without its packages: one sentence, which says what to do', async (test) => {
  const { folder } = temporaryFolder(test)
  for (const name of ['bin', 'src', 'package.json'])
    cpSync(join(root, name), join(folder, name), { recursive: true })
  const [file = '', ...args] = manifest.scripts.start.split(' ').slice(1)
  const child = spawned(test, process.execPath, [join(folder, file), ...args])
  const { code, stdout, stderr } = await ended(child)
  test.strictSame([code, stdout], [2, ''])
  testProblems(test, stderr, ['its packages are not installed: run npm ci'])
})

/** Options with which the program gets another module in place of a package. */
const withPackage = (name: string, other: string): readonly string[] => {
  const hooks = `import { registerHooks } from 'node:module'
registerHooks({ resolve: (name, context, next) => next(name === '${name}' ? '${other}' : name, context) })`
  return ['--import', `data:text/javascript,${encodeURIComponent(hooks)}`]
}

void t.test('an import that fails in another way is a bug, and keeps its stack', async (test) => {
  for (const [other, code, expected] of [
    ['no-such-package', 2, 'quay-proxy: its packages are not installed: run npm ci'],
    ['data:text/javascript,', 1, /^SyntaxError: .*\n +at /m],
  ] as const) {
    const args = [...withPackage('pino', other), join(root, 'src/main.ts'), '--version']
    const result = await ended(spawned(test, process.execPath, args))
    test.strictSame([result.code, result.stdout], [code, ''])
    test.match(result.stderr.join('\n'), expected)
  }
})

void t.test('problems: exit code 2, a line each on stderr, nothing on stdout', async (test) => {
  const child = start(test, ['serve', '--bogus'], { QUAY_PROXY_NONSENSE: secret })
  const { code, stdout, stderr } = await ended(child)
  test.strictSame([code, stdout], [2, ''])
  testProblems(test, stderr, [
    '--bogus is not a flag; --help lists them',
    'QUAY_PROXY_NONSENSE is not the name of a flag; --help lists them',
  ])
})

void t.test(
  'attack: SIGUSR1 opens no inspector; SIGHUP and SIGUSR2 cut no pull; SIGQUIT ends in order',
  async (test) => {
    const { path, flags } = await surroundings(test)
    const folder = path('')
    const snapshots = `--heap-snapshot-dir=${folder}`
    const child = start(test, ['serve', ...flags, snapshots, '--listen-addr=127.0.0.1:0', '--grace-period=0'])
    const end = ended(child)
    const { url = '' } = await logged(child, 'listening')
    child.kill('SIGUSR1')
    child.kill('SIGHUP')
    await logged(child, 'looked at the files')
    child.kill('SIGUSR2')
    const { path: snapshot = '' } = await logged(child, 'heap snapshot written')
    test.equal(dirname(snapshot), folder.replace(/\/$/, ''))
    test.equal(statSync(snapshot).mode & 0o777, 0o600)
    test.match(readFileSync(snapshot, 'utf8').slice(0, 100), '{"snapshot":')
    const { statusCode, body } = await request(`${url}/v2/`)
    await body.dump()
    test.equal(statusCode, 401)
    child.kill('SIGQUIT')
    const { code, stderr } = await end
    test.strictSame([code, stderr], [0, []], 'Debugger listening would stand on stderr')
  },
)

void t.test('the arguments of qci-appci start it, over https; SIGTERM ends it with 0', async (test) => {
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
    // qci-appci accepted any secret. So does this program, with a warning if it is weak.
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

void t.test('Ctrl-C ends a sandbox, also where npm passes it on a second time', async (test) => {
  const { folder, leftBehind } = temporaryFolder(test)
  const child = start(test, ['sandbox', '--port=0'], { TMPDIR: folder })
  const output = await printed(child, 'runs until Ctrl-C')
  const port = Number(/podman pull --tls-verify=false 127\.0\.0\.1:(\d+)/.exec(output)?.[1])
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.destroy()
  test.equal(leftBehind().length, 1)
  child.kill('SIGINT')
  child.kill('SIGINT')
  test.strictSame(await once(child, 'exit'), [0, null])
  test.strictSame(leftBehind(), [])
})

void t.test('a pipe that closes during the tour ends the sandbox', async (test) => {
  const { folder, leftBehind } = temporaryFolder(test)
  const child = start(test, ['sandbox', '--port=0'], { TMPDIR: folder })
  await printed(child, 'quay-proxy ')
  child.stdout.destroy()
  const [exit, problems] = await Promise.all([once(child, 'exit'), text(child.stderr)])
  test.strictSame([exit, problems, leftBehind()], [[0, null], '', []])
})

void t.test('audit-report: standard input, read to its end or not', async (test) => {
  const path = write(test, { log: `${auditLoss}\n` })
  const child = start(test, ['audit-report', '--json'])
  child.stdin.end(`${auditLoss}\n${auditLoss}`)
  const { code, stdout } = await ended(child)
  test.equal(code, 0)
  test.match(JSON.parse(stdout), { losses: [{ count: 2 }] })
  const unread = start(test, ['audit-report', path('log')])
  unread.stdout.destroy()
  const [left, problems] = await Promise.all([once(unread, 'exit'), text(unread.stderr)])
  test.strictSame([left, problems], [[0, null], ''], 'nobody reads to the end')
})
