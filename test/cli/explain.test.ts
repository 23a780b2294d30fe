import { writeFileSync } from 'node:fs'
import t from 'tap'
import { startSandbox } from '../../src/sandbox/sandbox.ts'
import { createLogger } from '../../src/telemetry/logging.ts'
import { ended, refused } from './fake-io.ts'

await t.test('the rules alone: nothing says who pulls', async (test) => {
  const { code, stdout } = await ended(['explain', 'team-x/app:a', '--restricted-namespaces=team-*'])
  test.equal(code, 2)
  test.match(
    stdout,
    /^podman pull quay-proxy.ci.openshift.org\/team-x\/app:a\n +QCI tag +team-x_app_a\n[\s\S]*restricted +yes[\s\S]* -n team-x\n/,
  )
  test.match(stdout, /\nNext: quay-proxy explain \S+ --server https:\/\/quay-proxy.ci.openshift.org\n?$/)
  await refused(test, ['explain'], [/explain takes one reference/])
  await refused(test, ['explain', 'base'], [/"base" is not a reference/])
  await refused(test, ['explain', '--foo', 'a/b'], ['--foo is not a flag of explain; --help lists them'])
})

await t.test('offline, by RBAC manifests', async (test) => {
  const folder = test.testdir({ 'x.yaml': 'kind: nothing\n' })
  const rbac = ['--rbac=manifests/examples', '--rbac=manifests/rbac', `--rbac=${folder}`]
  const explain = async (image: string, ...who: readonly string[]) =>
    await ended(['explain', image, ...rbac, ...who])
  const puller = '--as-user=system:serviceaccount:my-team:image-puller'
  const allowed = await explain('my-team/app:latest', puller)
  test.equal(allowed.code, 0)
  test.match(
    allowed.stdout,
    /review +yes: system:image-puller in namespace my-team, image stream app \(allowed by/,
  )
  test.match(allowed.stderr.join('\n'), /left out: .*x.yaml/)
  const denied = await explain('ocp/4.5:base', puller)
  test.equal(denied.code, 1)
  test.match(
    denied.stdout,
    /\nNext: ask an administrator of namespace ocp to run: oc policy add-role-to-user .*\n?$/,
  )
  test.equal((await explain('ocp/4.5:base', '--as-group=qci-image-pullers')).code, 0)
  test.equal((await explain(`ocp/4.5@sha256:${'a'.repeat(64)}`, '--as-user=alice')).code, 2)
})

await t.test('online, with the login of the person', async (test) => {
  const sandbox = await startSandbox({
    logger: createLogger('error', { write: () => undefined }),
    rbac: ['manifests/rbac', 'manifests/examples'],
    port: 0,
    flags: ['--grace-period=0s'],
  })
  test.teardown(sandbox.close)
  const folder = test.testdir({})
  const explain = async (image: string, user: string, groups: readonly string[]) => {
    const token = sandbox.kubernetes.issueUserToken({ username: user, groups })
    writeFileSync(`${folder}/token`, token)
    const answer = await ended(['explain', image, `--server=${sandbox.url}`, `--token-file=${folder}/token`])
    test.notMatch(answer.stdout + answer.stderr, token)
    return answer
  }
  const allowed = await explain('ocp/4.5:base', 'alice', ['qci-image-pullers'])
  test.equal(allowed.code, 0)
  test.match(allowed.stdout, /you are +alice \(user\)\n +login from +\S+\/token\n +request id +\S+\n/)
  test.match(allowed.stdout, /in QCI +yes, sha256:/)
  test.equal((await explain('ocp/4.5:base', 'mallory', [])).code, 1)
  await refused(
    test,
    ['explain', 'docker.io/a/b', `--server=${sandbox.url}`, `--token-file=${folder}/token`],
    [/127.0.0.1:\d+: docker.io is another registry/],
  )
  await refused(
    test,
    ['explain', 'a/b', `--server=${sandbox.url}`, '--server-ca-file=/absent', `--token-file=${folder}/token`],
    [/--server-ca-file=\/absent cannot be read \(ENOENT\)/],
  )
  const trusting = await ended([
    'explain',
    'ocp/4.5:base',
    `--server=${sandbox.url}`,
    '--server-ca-file=package.json',
    `--token-file=${folder}/token`,
  ])
  test.equal(trusting.code, 1, 'plain HTTP to this machine needs no authority')
  const typed = await ended(['explain', 'a/b', `--server=${sandbox.url}`, '--token-file=-'], {
    isInputTerminal: true,
    input: 'no token',
  })
  test.match(
    typed.stderr.join('\n'),
    /Paste the token, then Enter and Ctrl-D\.[\s\S]*standard input holds no token/,
  )
  test.equal(typed.code, 2)
})
