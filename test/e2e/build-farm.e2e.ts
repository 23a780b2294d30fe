/**
 * Nodes of a build farm pull through its cache, with the mirror sets and the pull secret of production: node, cache (--logins=robots),
 * then either the registry itself or the central quay-proxy. Everything but the registry speaks TLS.
 */
import { join } from 'node:path'
import { test } from 'tap'
import { certificateIn, tlsProxy } from './cached-proxy.ts'
import { farmNode } from './farm-node.ts'
import { isolatedPodman } from './podman.ts'
import { missing } from './process.ts'
import { hostArchitecture } from './seed.ts'
import { endStack, startStack, type Stack } from './stack.ts'

const skip = missing('podman', 'skopeo', 'docker-registry', 'openssl')

await test('nodes of a build farm', { skip }, async (suite) => {
  const stack = await startStack(suite)
  const { upstream, tokens } = stack
  const { certificate } = await certificateIn(stack)
  const file = (name: string) => join(stack.directory, name)
  const central = await tlsProxy(stack, [`--upstream=${upstream.url}`, `--kubeconfig=${file('kubeconfig')}`])
  await central.start()
  const platformOf = (tag: Parameters<Stack['image']>[0]) => stack.image(tag).images[hostArchitecture]!
  const idOf = (tag: Parameters<Stack['image']>[0]) => platformOf(tag).config.replace('sha256:', '')

  const upstreams = {
    quay: [`--upstream=${upstream.url}`],
    central: [`--upstream=https://${central.host}`, `--upstream-ca-file=${certificate}`],
  }
  for (const [behind, flags] of Object.entries(upstreams)) {
    await suite.test(
      `the cache in front of ${behind === 'central' ? 'the central quay-proxy' : behind}`,
      async (t) => {
        const cache = await tlsProxy(stack, [
          '--logins=robots',
          `--cache-dir=${file(`cache-${behind}`)}`,
          ...flags,
        ])
        await cache.start()
        const hosts = { cache: cache.host, quayProxy: central.host, quay: upstream.host }
        const node = async (name: string) => await farmNode(stack, `${behind}-${name}`, hosts, certificate)
        const before = { quay: upstream.requests.length, central: central.output().length }

        const first = await node('first')
        const pulled = [
          [`${central.host}/openshift/ci:ocp_4.5_base`, 'ocp_4.5_base'],
          [`${central.host}/ocp/4.15:base`, 'ocp_4.15_base'],
          [`${upstream.host}/openshift/ci:my-team_app_latest`, 'my-team_app_latest'],
          [`${central.host}/openshift/ci:ocp-priv_4.5_embargoed`, 'ocp-priv_4.5_embargoed'],
        ] as const
        for (const [image, tag] of pulled) {
          const pull = await first.pull(image)
          t.equal(pull.code, 0, pull.output)
          t.equal(await first.imageId(image), idOf(tag), image)
        }

        const second = await node('second')
        for (const image of [
          `${central.host}/openshift/ci@${stack.image('ocp_4.5_base').index}`,
          `${upstream.host}/openshift/ci@${stack.image('ocp_4.15_base').index}`,
          `${central.host}/my-team/app:latest`,
        ]) {
          const pull = await second.pull(image)
          t.equal(pull.code, 0, pull.output)
        }

        const blobs = pulled.flatMap(([, tag]) => [platformOf(tag).config, ...platformOf(tag).layers])
        const requested = upstream.requests.slice(before.quay)
        for (const digest of new Set(blobs))
          t.equal(
            requested.filter((line) => line === `GET /v2/openshift/ci/blobs/${digest}`).length,
            1,
            'each blob came from quay once, for both nodes',
          )
        const log = cache.output()
        t.match(log, '"kind":"robot"', 'as the robot')
        t.equal(log.match(/"kind":"(?!robot)/g), null, 'and as nobody else')
        const reached = central.output().slice(before.central)
        const isBehind = flags[0]!.includes(central.host)
        t.equal(
          reached.includes('"image":"ocp_4.5_base"'),
          isBehind,
          'the central quay-proxy is used only if it is the upstream of the cache',
        )

        const person = await isolatedPodman({ ...stack, host: cache.host }, `${behind}-person`, {
          certificate,
        })
        t.not((await person.login('alice', tokens.alice)).code, 0, 'a person cannot log in')
        const refused = await person.pull('openshift/ci:ocp_4.5_base', `--creds=alice:${tokens.alice}`)
        t.match(refused.output, 'this proxy accepts robots only')

        await cache.stop()
        const third = await node('third')
        const around = await third.pull(`${central.host}/openshift/ci:ocp_4.5_base`)
        t.equal(around.code, 0, `without the cache, a node pulls from the next mirror: ${around.output}`)
        for (const [owner, secret] of stack.secrets()) t.notOk(cache.output().includes(secret), owner)
      },
    )
  }

  await central.stop()
  await endStack(suite, stack)
})
