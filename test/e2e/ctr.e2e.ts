import { test, type Test } from 'tap'
import { startContainerd } from './containerd.ts'
import { documented } from './documented.ts'
import { missing } from './process.ts'
import { hostArchitecture } from './seed.ts'
import { endStack, serviceAccountUser, startStack, type Stack } from './stack.ts'

const skip = missing('containerd', 'ctr', 'skopeo', 'docker-registry', 'openssl')

await test('ctr', { skip }, async (suite) => {
  const stack = await startStack(suite)
  const { tokens } = stack
  const containerd = await startContainerd(stack)

  const holds = async (t: Test, ...[tag]: Parameters<Stack['image']>) => {
    const { index, images } = stack.image(tag)
    const { manifest, config, layers } = images[hostArchitecture]!
    const content = await containerd.content()
    t.same(
      [index, manifest, config, ...layers].filter((digest) => !content.includes(digest)),
      [],
      `containerd has all of ${tag}`,
    )
  }

  await suite.test('content fetch of the monorepo form; its token comes from POST', async (t) => {
    const { code, output } = await containerd.fetch('alice', tokens.alice, 'openshift/ci:ocp_4.5_base')
    t.equal(code, 0, output)
    await holds(t, 'ocp_4.5_base')
    t.ok(await stack.logged('POST', '/v2/auth', 200), 'POST at the realm is answered')
    t.notOk(await stack.logged('GET', '/v2/auth', 200), 'and needs no GET after it')
  })

  await suite.test('pull of the image stream form, unpacked', async (t) => {
    const { code, output } = await containerd.pull('alice', tokens.alice, 'ocp/4.15:base')
    t.equal(code, 0, output)
    await holds(t, 'ocp_4.15_base')
    t.match(await containerd.images(), `${stack.host}/ocp/4.15:base`)
  })

  await suite.test('a service account, named with its colons', async (t) => {
    const { code, output } = await containerd.pull(
      serviceAccountUser,
      tokens.serviceAccount,
      'openshift/ci:my-team_app_latest',
    )
    t.equal(code, 0, output)
    await holds(t, 'my-team_app_latest')
  })

  await suite.test('a person without access sees 403', async (t) => {
    const { code, output } = await containerd.fetch('mallory', tokens.mallory, 'openshift/ci:ocp_4.5_base')
    t.not(code, 0)
    t.match(output, '403 Forbidden')
  })

  await suite.test('an unknown token sees 401', async (t) => {
    const { code, output } = await containerd.fetch('alice', tokens.invalid, 'openshift/ci:ocp_4.5_base')
    t.not(code, 0)
    t.match(output, '401 Unauthorized')
  })

  await suite.test('an absent tag is not found', async (t) => {
    const { code, output } = await containerd.fetch('alice', tokens.alice, 'ocp/4.5:no-such-component')
    t.not(code, 0)
    t.match(output, 'not found')
  })

  await suite.test('its texts are those of docs/clients.md', async (t) => {
    const prints = async (image: string, token: string) =>
      (await containerd.pull('user', token, image)).output
    await documented(t, stack, 'ctr', {
      denied: await prints('ocp/4.5:base', tokens.mallory),
      token: await prints('ocp/4.5:base', tokens.invalid),
      absent: await prints('ocp/4.5:no-such-component', tokens.alice),
    })
  })

  await endStack(suite, stack)
})
