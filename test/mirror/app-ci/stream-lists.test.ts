import t from 'tap'
import { readStreams } from '../../../src/mirror/app-ci/stream-lists.ts'
import { hex, startApi } from '../../kubernetes/watching.ts'

const never = new AbortController().signal

await t.test('namespaces are read in pages, and a single ImageStream by its name', async (t) => {
  const { kubeConfig, imageStreams } = await startApi(t)
  for (let number = 0; number < 60; number++)
    imageStreams.put({ namespace: 'ocp', name: `4.${number}`, tags: { base: [hex('a'), hex('b')] } })
  for (const name of ['release', 'other'])
    imageStreams.put({ namespace: 'openshift', name, tags: { golang: [hex('c')], none: [] } })
  const streams = await readStreams(
    kubeConfig,
    [{ namespace: 'ocp' }, { namespace: 'openshift', name: 'release' }],
    never,
  )
  t.equal(streams.size, 61)
  t.equal(imageStreams.requests.pages, 3)
  t.strictSame([...(streams.get('ocp/4.7') ?? [])], [['base', hex('a')]])
  t.strictSame(
    [...(streams.get('openshift/release') ?? [])],
    [
      ['golang', hex('c')],
      ['none', 'none'],
    ],
  )
})

await t.test('tags that nobody needs are not cached', async (t) => {
  const { kubeConfig, imageStreams } = await startApi(t)
  for (const name of ['a', 'b'])
    imageStreams.put({ namespace: 'ocp', name, tags: { x: [hex('a')], y: [hex('b')] } })
  const keeps = (name: string, tag: string) => name === 'a' && tag === 'x'
  const streams = await readStreams(kubeConfig, [{ namespace: 'ocp', keeps }], never)
  t.strictSame(
    [...streams].map(([key, tags]) => [key, [...tags]]),
    [['ocp/a', [['x', hex('a')]]]],
  )
})

await t.test('a list that cannot be read is an error that names the namespace', async (t) => {
  const { api, kubeConfig } = await startApi(t)
  api.fault({ kind: 'status', status: 500 })
  await t.rejects(readStreams(kubeConfig, [{ namespace: 'ocp' }], never), {
    message: 'app.ci does not list the ImageStreams of ocp: API server answered 500',
  })
})

await t.test('an object without a name is ignored', async (t) => {
  const { api, kubeConfig } = await startApi(t)
  const tags = [{ tag: 'x', items: [{ image: hex('a') }] }]
  const body = {
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStreamList',
    metadata: { resourceVersion: '7' },
    items: [{ status: { tags } }, { metadata: {}, status: { tags } }],
  }
  t.intercept(Object.getPrototypeOf(api.imageStreams) as { answer: unknown }, 'answer', {
    value: () => ({ status: 200, body }),
  })
  t.strictSame([...(await readStreams(kubeConfig, [{ namespace: 'ocp' }], never)).keys()], [])
})
