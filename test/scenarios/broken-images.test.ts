/**
 * One broken image, or one unreadable answer, of an upstream that otherwise works.
 */
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { smallImage } from '../sandbox/quay/quay-client.ts'
import { accept, scenario } from './scenario.ts'

const path = '/v2/ocp/4.5/manifests/base'
const page = (_request: unknown, response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>maintenance</html>')

await scenario(
  'attack: endless requests for a broken image do not affect other images',
  async (t, s) => {
    const bob = s.remember(s.kubernetes.issueUserToken({ username: 'bob', groups: ['qci-image-pullers'] }))
    const good = Array.from({ length: 10 }, (_, index) => `ocp_good_${index}`)
    s.quay.tagMany(['ocp_broken_x', ...good], await smallImage())
    s.quay.fault({ origin: 'quay', path: /ocp_broken/, count: Infinity, status: 500 })
    const seen = { isOver: false, broken: 0 }
    const untilBroken = async (times: number) => {
      while (seen.broken < times) await sleep(10)
    }
    // Another Accept each time, so that no request shares its fetch.
    const loops = Array.from({ length: 10 }, async (_, loop) => {
      for (let turn = 0; !seen.isOver; turn++) {
        const { status } = await s.ask('/v2/ocp/broken/manifests/x', {
          token: s.alice,
          headers: { accept: `application/x${loop}-${turn}+json` },
        })
        t.equal(status, 503)
        seen.broken += 1
      }
    })
    await untilBroken(20)
    for (const tag of good) {
      const answer = await s.ask(`/v2/openshift/ci/manifests/${tag}`, { token: bob, headers: { accept } })
      t.equal(answer.status, 200)
      await untilBroken(seen.broken + 2)
    }
    seen.isOver = true
    await Promise.all(loops)
    t.match(await s.metrics(), /quay_proxy_upstream_circuit_open_total\{scope="upstream"\} 0/)
  },
  ['--retry-timeout=100ms'],
)

await scenario(
  'attack: a restricted image that nobody can parse; its layers are requested by their digests',
  async (t, s) => {
    const image = await smallImage()
    const [layer = ''] = image.blobs.keys()
    const body = Buffer.from(`{"schemaVersion":2,"layers":[{"digest":"${layer}"}],"layers":[]}`)
    const odd = {
      digest: `sha256:${createHash('sha256').update(body).digest('hex')}` as const,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      body,
    }
    s.quay.tagMany(['ocp-priv_4.5_odd'], { ...image, ...odd, manifests: [odd] })
    const blob = async () => (await s.ask(`/v2/openshift/ci/blobs/${layer}`, { token: s.alice })).status
    while ((await blob()) !== 403) await sleep(10)
    t.equal((await s.ask(`/v2/openshift/ci/manifests/${odd.digest}`, { token: s.alice })).status, 403)
    const [, complete] = /restricted_index_complete (\d)/.exec(await s.metrics()) ?? []
    t.equal(complete, '1', 'one odd image does not hold up the index')
  },
  ['--restricted-index-interval=1ms'],
)

await scenario(
  'attack: a page of HTML with 200 is neither a manifest nor a robot token, and replaces no cached one',
  async (t, s) => {
    const ask = async () => await s.ask(path, { token: s.alice, headers: { accept } })
    const before = await ask()
    for (const [part, expire] of [
      [/manifests/, false],
      [/^\/v2\/auth/, true],
    ] as const) {
      // Later than the life of the tag, and later than the pause before the next attempt.
      await sleep(20)
      while ((await ask()).headers.get('warning') !== null) await sleep(50)
      await sleep(20)
      if (expire) s.quay.fault({ origin: 'quay', path: /manifests/, expire })
      s.quay.fault({ origin: 'quay', path: part, count: Infinity, raw: page })
      const stale = await ask()
      t.equal(stale.status, 200, String(part))
      t.equal(stale.headers.get('warning'), '110 - "Response is Stale"')
      t.same(stale.body, before.body)
      s.quay.clearFaults()
    }
    s.quay.fault({ origin: 'quay', path: /manifests/, count: Infinity, raw: page })
    const unknown = await s.ask(`/v2/openshift/ci/manifests/${s.stock.expiredTag}`, { token: s.alice })
    t.equal(unknown.status, 503)
    t.match(unknown.headers.get('retry-after'), /^\d+$/)
  },
  ['--tag-ttl=10ms', '--retry-timeout=100ms'],
)
