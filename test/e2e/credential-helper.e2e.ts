/** podman pulls with docker-credential-quay-proxy and no stored secret, as docs/clients.md says. */
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { test, type Test } from 'tap'
import manifest from '../../package.json' with { type: 'json' }
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { isolatedPodman, type PodmanOptions } from './podman.ts'
import { missing, plainEnv, run } from './process.ts'
import { root, type Workplace } from './stack.ts'

const skip = missing('podman')
const program = join(root, manifest.bin['docker-credential-quay-proxy'])

/** The sandbox, the helper under its name, and an `oc` whose login is a file. */
const setUp = async (suite: Test) => {
  const { kubernetes, url, close } = await startSandbox({
    logger: createLogger('error', { write: () => undefined }),
    rbac: [join(root, 'manifests/rbac'), join(root, 'manifests/examples')],
    port: 0,
    flags: ['--grace-period=0s', '--identity-ttl=1s'],
  })
  suite.teardown(close)
  const directory = await mkdtemp(join(tmpdir(), 'qp-'))
  suite.teardown(async () => await rm(directory, { recursive: true, force: true }))
  const { host } = new URL(url)
  const stack: Workplace = {
    host,
    directory,
    scratch: async (name) => await mkdtemp(join(directory, name)),
    defer: (dispose) => suite.teardown(dispose),
  }
  const tools = await stack.scratch('bin')
  await symlink(program, join(tools, 'docker-credential-quay-proxy'))
  const oc = await stack.scratch('oc')
  const script = [
    '#!/bin/sh',
    'case "$*" in',
    `'whoami -t'*) exec cat '${oc}/login' ;;`,
    'whoami*) echo alice ;;',
    `'create token image-puller --namespace=my-team --duration=1h') exec cat '${oc}/bound' ;;`,
    '*) exit 9 ;;',
    'esac',
  ]
  await writeFile(join(oc, 'oc'), `${script.join('\n')}\n`)
  await chmod(join(oc, 'oc'), 0o755)
  const path = (...directories: string[]) => [...directories, '/usr/sbin', '/usr/bin', '/bin'].join(delimiter)
  const env = {
    PATH: path(tools, oc, dirname(process.execPath)),
    DOCKER_CREDENTIAL_QUAY_PROXY_HOSTS: host,
  }
  const issued: string[] = []
  return {
    kubernetes,
    host,
    env,
    withoutOc: { ...env, PATH: path(tools, dirname(process.execPath)) },
    podman: async (options: PodmanOptions = {}) =>
      await isolatedPodman(stack, 'podman', { credHelpers: { [host]: 'quay-proxy' }, env, ...options }),
    issued,
    /** `oc login`. */
    logIn: async (
      file = 'login',
      token = kubernetes.issueUserToken({ username: 'alice', groups: ['qci-image-pullers'] }),
    ) => {
      issued.push(token)
      await writeFile(join(oc, file), `${token}\n`)
      return token
    },
  }
}

await test('podman with the credential helper', { skip }, async (suite) => {
  const { kubernetes, host, env, withoutOc, podman: create, logIn, issued } = await setUp(suite)

  await suite.test(
    'podman pull with no stored secret; a token that is renewed in between goes unnoticed',
    async (t) => {
      const podman = await create()
      const first = await logIn()
      t.match(await podman.pull('ocp/4.5:base'), { code: 0 })
      kubernetes.revoke(first)
      await logIn()
      const pull = await podman.pull('ocp/4.15:base')
      t.equal(pull.code, 0, pull.output)
      const file = await podman.authFile()
      t.same(JSON.parse(file), { credHelpers: { [host]: 'quay-proxy' } })
      for (const token of issued) t.notOk(file.includes(token), 'a token')
    },
  )

  await suite.test('as the helper of all registries, which get nothing', async (t) => {
    const registries = 'credential-helpers = ["quay-proxy"]\n'
    const podman = await create({ registries, credHelpers: {} })
    const pull = await podman.pull('openshift/ci:ocp_4.5_base')
    t.equal(pull.code, 0, pull.output)
    const narrow = await create({
      registries,
      credHelpers: {},
      env: { ...env, DOCKER_CREDENTIAL_QUAY_PROXY_HOSTS: '' },
    })
    t.match(await narrow.pull('ocp/4.5:base'), { code: 125, output: 'log in first' })
  })

  await suite.test('a service account', async (t) => {
    await logIn('bound', kubernetes.issueServiceAccountToken({ namespace: 'my-team', name: 'image-puller' }))
    const account = { ...env, DOCKER_CREDENTIAL_QUAY_PROXY_SERVICE_ACCOUNT: 'my-team/image-puller' }
    const pull = await (await create({ env: account })).pull('my-team/app:latest')
    t.equal(pull.code, 0, pull.output)
  })

  await suite.test('no oc, and no login: podman shows what to do', async (t) => {
    const none = await (await create({ env: withoutOc })).pull('ocp/4.5:base')
    t.match(none, { code: 125, output: 'oc is not on the PATH: install it, then oc login' })
    await logIn('login', '')
    const loggedOut = await (await create()).pull('ocp/4.5:base')
    t.match(loggedOut, { code: 125, output: 'oc is not logged in, or its token has expired: oc login' })
  })

  await suite.test(
    'podman login needs no password, and stores none; podman logout has nothing to remove',
    async (t) => {
      await logIn()
      const podman = await create()
      t.match(await podman.loginAsIs(), { code: 0, output: 'Existing credentials are valid' })
      t.match(await podman.login('alice', issued.at(-1)!), {
        code: 125,
        output: 'stores nothing, and needs no login',
      })
      t.match(await podman.logout(host), { code: 0, output: 'Removed login credentials' })
      t.notOk((await podman.authFile()).includes(issued.at(-1)!))
    },
  )

  await suite.test('the time from its start to its answer, without that of oc', async (t) => {
    for (const what of ['first', 'second', 'third', 'fourth']) {
      const began = performance.now()
      const { code } = await run('docker-credential-quay-proxy', ['version'], { env: plainEnv(env) })
      t.equal(code, 0)
      t.comment(`${what} start: ${Math.round(performance.now() - began)} ms`)
    }
  })
})
