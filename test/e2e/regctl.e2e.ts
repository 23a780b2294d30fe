import { join } from 'node:path'
import { test } from 'tap'
import { documented } from './documented.ts'
import { readImage, readLayout } from './layout.ts'
import { missing, plainEnv, run } from './process.ts'
import { endStack, pullByTag, type QuayStack, seeSbom, serviceAccountUser, startQuayStack } from './stack.ts'

const skip = missing('regctl')

/** All but its login is in `config`, into which `registry login` writes, too. */
const regctl = ({ directory }: QuayStack, config: string, ...args: string[]) =>
  run('regctl', args, {
    env: plainEnv({ HOME: directory, REGCTL_CONFIG: join(directory, config) }),
    cwd: directory,
  })

await test('regctl', { skip }, async (suite) => {
  const stack = await startQuayStack(suite)
  const { host, tokens, stock } = stack
  const base = stock.tags.find(({ tag }) => tag === 'ocp_4.5_base')!
  const as =
    (user: string, token: string) =>
    (...args: string[]) =>
      regctl(stack, 'regctl.json', '--host', `reg=${host},user=${user},pass=${token},tls=disabled`, ...args)
  const alice = as('alice', tokens.alice)

  await suite.test('registry login checks whether the token is valid', async (t) => {
    const registry = (...args: string[]) => regctl(stack, 'login.json', 'registry', ...args)
    const set = await registry('set', host, '--tls=disabled', '--skip-check')
    t.equal(set.code, 0, set.output)
    const login = (token: string) => registry('login', host, '--user=alice', `--pass=${token}`)
    const good = await login(tokens.alice)
    t.equal(good.code, 0, good.output)
    t.not((await login(tokens.invalid)).code, 0)
  })

  await suite.test('tag ls shows the tags that the requester may pull', async (t) => {
    const list = async (requester: typeof alice, repository: string) => {
      const { code, stdout, output } = await requester('tag', 'ls', `${host}/${repository}`)
      t.equal(code, 0, output)
      return stdout.trim().split('\n').toSorted()
    }
    await pullByTag(stack, 'ocp_4.5_base')
    const open = stock.tags.map(({ tag }) => tag).filter((tag) => !tag.startsWith('ocp-priv_'))
    t.same(await list(alice, 'openshift/ci'), open.toSorted())
    t.same(await list(alice, 'ocp/4.5'), ['base'])
    t.same(await list(as(serviceAccountUser, tokens.serviceAccount), 'openshift/ci'), ['my-team_app_latest'])
  })

  for (const image of ['openshift/ci:ocp_4.5_base', 'ocp/4.5:base', `openshift/ci@${base.digest}`]) {
    await suite.test(`digest and copy of ${image.replace(/@.*/, ' by digest')}`, async (t) => {
      const digest = await alice('image', 'digest', `${host}/${image}`)
      t.equal(digest.stdout.trim(), base.digest, digest.output)
      const layout = image.replaceAll(/[:/@]/g, '-')
      const copied = await alice('image', 'copy', `${host}/${image}`, `ocidir://${layout}:copy`)
      t.equal(copied.code, 0, copied.output)
      const directory = join(stack.directory, layout)
      t.same((await readLayout(directory)).tagged, [base.digest])
      t.equal((await readImage(directory, base.digest)).manifests.length, 1 + base.platforms.length)
    })
  }

  await suite.test('artifact list finds the referrers of an image', async (t) => {
    const attached = async (...args: string[]) => {
      const { code, stdout, output } = await alice('artifact', 'list', '--format={{json .}}', ...args)
      t.equal(code, 0, output)
      const { descriptors } = JSON.parse(stdout) as { descriptors: { digest: string }[] | null }
      return (descriptors ?? []).map(({ digest }) => digest)
    }
    t.same(await attached(`${host}/ocp/4.5:base`), [], 'nobody has seen it')
    await seeSbom(stack)
    t.same(await attached(`${host}/ocp/4.5:base`), [stock.sbom])
    t.same(await attached(`${host}/ocp/4.5:base`, '--filter-artifact-type=application/other'), [])
    t.same(await attached(`${host}/ocp/4.15:base`), [], 'nothing is attached')
  })

  await suite.test('image copy --referrers brings the referrers too', async (t) => {
    const copied = await alice(
      'image',
      'copy',
      '--referrers',
      `${host}/ocp/4.5:base`,
      'ocidir://referrers:copy',
    )
    t.equal(copied.code, 0, copied.output)
    t.equal((await readImage(join(stack.directory, 'referrers'), stock.sbom)).blobs, 2)
  })

  await suite.test('its texts are those of docs/clients.md', async (t) => {
    const prints = async (token: string, image: string) => {
      const { code, output } = await as('user', token)(
        'image',
        'copy',
        `${host}/${image}`,
        'ocidir://refused:copy',
      )
      t.not(code, 0)
      return output
    }
    await documented(t, stack, 'regctl', {
      denied: await prints(tokens.mallory, 'ocp/4.5:base'),
      token: await prints(tokens.invalid, 'ocp/4.5:base'),
      absent: await prints(tokens.alice, 'ocp/4.5:no-such-component'),
    })
  })

  await suite.test('no client can push', async (t) => {
    const pushed = await alice('image', 'copy', `${host}/ocp/4.15:base`, `${host}/ocp/4.5:base`)
    t.not(pushed.code, 0)
    t.equal((await alice('image', 'digest', `${host}/ocp/4.5:base`)).stdout.trim(), base.digest)
  })

  await endStack(suite, stack)
})
