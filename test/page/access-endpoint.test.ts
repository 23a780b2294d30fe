import t from 'tap'
import { bearer, refused, routesOptions } from '../registry/fakes.ts'
import { explaining } from './fakes.ts'

await t.test('JSON with the request id, which nobody stores', async (test) => {
  const { explain } = await explaining(test)
  const { status, headers, body } = await explain('ocp/4.5:base')
  test.equal(status, 200)
  test.equal(headers.get('content-type'), 'application/json')
  test.equal(headers.get('cache-control'), 'no-store')
  test.equal((JSON.parse(body) as { requestId: string }).requestId, headers.get('x-request-id'))
  test.notOk(headers.has('content-security-policy'))
})

await t.test('the image is given once', async (test) => {
  const { get } = await explaining(test)
  for (const query of ['', '?image=a/b:c&image=d/e:f'])
    test.match(await get(`/access${query}`, { headers: bearer }), {
      status: 400,
      body: /give the image once/,
    })
})

await t.test('attack: guesses are paced as refused pulls are', async (test) => {
  const { policy } = routesOptions()
  let now = 0
  const { explain } = await explaining(test, {
    policy: { ...policy, decide: async () => refused },
    refusalPace: {
      burst: 1,
      perSecond: 1,
      delayMs: 200,
      now: () => now++,
    },
  })
  await explain('ocp/4.5:base')
  const startedAt = performance.now()
  await explain('ocp/4.5:base')
  test.ok(performance.now() - startedAt >= 190, 'late')
})
