import { userInfo } from 'node:os'
import { test } from 'tap'
import { documented } from './documented.ts'
import { isolatedPodman } from './podman.ts'
import { missing } from './process.ts'
import { hostArchitecture } from './seed.ts'
import { endStack, serviceAccountUser, startStack, type Stack } from './stack.ts'

const skip = missing('podman', 'skopeo', 'docker-registry', 'openssl')

const manifestPath = (repository: string, tag: string) => `/v2/${repository}/manifests/${tag}`

await test('podman', { skip }, async (suite) => {
  const stack = await startStack(suite)
  const { tokens } = stack
  const configOf = (...[tag]: Parameters<Stack['image']>) =>
    stack.image(tag).images[hostArchitecture]?.config.replace('sha256:', '')

  await suite.test('a person logs in as the README says and pulls both forms of one image', async (t) => {
    const podman = await isolatedPodman(stack, 'person')
    const login = await podman.login(userInfo().username, tokens.alice)
    t.match(login, { code: 0, stdout: /Login Succeeded/ }, login.output)
    for (const image of ['openshift/ci:ocp_4.5_base', 'ocp/4.5:base']) {
      const pull = await podman.pull(image)
      t.equal(pull.code, 0, pull.output)
      t.equal(await podman.imageId(image), configOf('ocp_4.5_base'), image)
    }
  })

  await suite.test('a person pulls by digest', async (t) => {
    const podman = await isolatedPodman(stack, 'digest')
    await podman.login('alice', tokens.alice)
    const pull = await podman.pull(`openshift/ci@${stack.image('ocp_4.15_base').index}`)
    t.match(pull, { code: 0, stdout: configOf('ocp_4.15_base') ?? '' }, pull.output)
  })

  await suite.test(
    'a service account logs in by its name with colons, and pulls from its namespace',
    async (t) => {
      const podman = await isolatedPodman(stack, 'service-account')
      const login = await podman.login(serviceAccountUser, tokens.serviceAccount)
      t.match(login, { code: 0, stdout: /Login Succeeded/ }, login.output)
      for (const image of ['openshift/ci:my-team_app_latest', 'my-team/app:latest']) {
        const pull = await podman.pull(image)
        t.equal(pull.code, 0, pull.output)
        t.equal(await podman.imageId(image), configOf('my-team_app_latest'), image)
      }
    },
  )

  await suite.test('an unknown token gets the reason', async (t) => {
    const podman = await isolatedPodman(stack, 'invalid')
    const login = await podman.login('alice', tokens.invalid)
    t.not(login.code, 0)
    t.match(login.output, 'invalid username/password')
    const anonymous = await podman.pull('openshift/ci:ocp_4.5_base')
    t.not(anonymous.code, 0, 'the refused login is not kept')
    t.match(anonymous.output, 'unauthorized: ')
    const pull = await podman.pull('openshift/ci:ocp_4.5_base', `--creds=alice:${tokens.invalid}`)
    t.not(pull.code, 0)
    t.match(pull.output, `unauthorized: ${await stack.message('/v2/auth', tokens.invalid)}`)
  })

  await suite.test('a person without access reads what is missing, and how it is granted', async (t) => {
    const podman = await isolatedPodman(stack, 'denied')
    t.equal((await podman.login('mallory', tokens.mallory)).code, 0, 'the token itself is good')
    for (const [repository, tag] of [
      ['openshift/ci', 'ocp_4.5_base'],
      ['ocp/4.5', 'base'],
    ] as const) {
      const { code, output } = await podman.pull(`${repository}:${tag}`)
      t.not(code, 0)
      const message = await stack.message(manifestPath(repository, tag), tokens.mallory)
      t.match(output, `denied: ${message}`)
      for (const word of ['mallory', 'ocp', 'system:image-puller']) t.match(message, word)
    }
  })

  await suite.test('a misspelled name: the pull spec to use, at once and once', async (t) => {
    const podman = await isolatedPodman(stack, 'misspelled')
    await podman.login('alice', tokens.alice)
    for (const [name, spec] of [
      ['registry.ci.openshift.org/ocp/4.5:base', '/ocp/4.5:base'],
      ['ocp/4.5/base', '/ocp/4.5:base'],
      ['ocp_4.5_base', '/openshift/ci:ocp_4.5_base'],
      ['ocp_4.5/base', '/openshift/ci:ocp_4.5_base'],
    ] as const) {
      const { code, output } = await podman.pull(name)
      t.not(code, 0, name)
      t.match(output, 'is not a repository here; pull ', name)
      t.match(output, spec, name)
      t.equal(output.split('is not a repository here').length, 2, 'podman does not repeat the request')
    }
    const { output } = await podman.pull('ocp/4.5:bsae')
    t.match(output, /did you mean base\? pull \S+\/ocp\/4\.5:base/)
  })

  await suite.test('a restricted namespace is closed to QCI-wide requesters', async (t) => {
    const podman = await isolatedPodman(stack, 'restricted')
    await podman.login('alice', tokens.alice)
    const { code, output } = await podman.pull('openshift/ci:ocp-priv_4.5_embargoed')
    t.not(code, 0)
    const message = await stack.message(manifestPath('openshift/ci', 'ocp-priv_4.5_embargoed'), tokens.alice)
    t.match(output, `denied: ${message}`)
    for (const word of ['alice', 'ocp-priv', 'system:image-puller']) t.match(message, word)
  })

  await suite.test('an absent tag gets the reason that it may not have been promoted', async (t) => {
    const podman = await isolatedPodman(stack, 'absent')
    await podman.login('alice', tokens.alice)
    const { code, output } = await podman.pull('ocp/4.5:no-such-component')
    t.not(code, 0)
    const message = await stack.message(manifestPath('ocp/4.5', 'no-such-component'), tokens.alice)
    t.match(output, `manifest unknown: ${message}`)
    t.match(message, 'not promoted')
  })

  await suite.test('its texts are those of docs/clients.md', async (t) => {
    const podman = await isolatedPodman(stack, 'texts')
    const prints = async (image: string, token: string) =>
      (await podman.pull(image, `--creds=user:${token}`)).output
    await documented(t, stack, 'podman', {
      denied: await prints('ocp/4.5:base', tokens.mallory),
      token: await prints('ocp/4.5:base', tokens.invalid),
      absent: await prints('ocp/4.5:no-such-component', tokens.alice),
    })
  })

  await suite.test('no client can push', async (t) => {
    const podman = await isolatedPodman(stack, 'push')
    await podman.login('alice', tokens.alice)
    await podman.pull('openshift/ci:ocp_4.5_base')
    t.not((await podman.push('openshift/ci:ocp_4.5_base')).code, 0)
  })

  await endStack(suite, stack)
})
