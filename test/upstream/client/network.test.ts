import t from 'tap'
import { serverFor, always, upstreamFor, failure, told } from '../upstream.ts'

await t.test('requests end when the network is closed', async (test) => {
  const { url, requests } = await serverFor(test, () => undefined)
  const { network } = upstreamFor(test, url)
  const login = failure(network.get(new URL(url)))
  while (requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await network.close()
  test.equal(told(await login), '503 UNAVAILABLE 5')
})

await t.test('an upstream on a private address is recognised before anything is resolved', async (test) => {
  const { url } = await serverFor(test, always(200))
  const { network } = upstreamFor(test, url)
  test.equal(network.isUpstreamPrivate(), true)
  test.equal(network.totalTimeoutMs, 20_000)
})
