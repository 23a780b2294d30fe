import { createHash } from 'node:crypto'
import { buildImage } from '../../src/sandbox/quay/images.ts'
import { accept, scenario } from './scenario.ts'

const sha256 = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`

await scenario(
  'every platform of an image, by either form of its name, with every digest right',
  async (t, { pull, alice, puller, stock }) => {
    const digestOf = (tag: string) => stock.tags.find((stocked) => stocked.tag === tag)?.digest
    const rows = [
      ['openshift/ci', 'ocp_4.5_base', 'ocp_4.5_base', 'alice', alice],
      ['ocp/4.5', 'base', 'ocp_4.5_base', 'alice', alice],
      ['ci/tools', 'latest', 'ci_tools_latest', 'kube:admin', alice],
      [
        'openshift/ci',
        '20240603235401_prune_ocp_4.15_base',
        '20240603235401_prune_ocp_4.15_base',
        'user',
        alice,
      ],
      ['my-team/app', 'latest', 'my-team_app_latest', 'system:serviceaccount:my-team:image-puller', puller],
      [
        'openshift/ci',
        'my-team_app_latest',
        'my-team_app_latest',
        'system:serviceaccount:my-team:image-puller',
        puller,
      ],
    ] as const
    for (const [repository, reference, tag, username, password] of rows) {
      const pulled = await pull({ repository, reference, username, password })
      t.equal(pulled.digest, digestOf(tag), `${repository}:${reference} as ${username}`)
      t.same(pulled.platforms, ['linux/amd64', 'linux/arm64', 'linux/ppc64le', 'linux/s390x'])
    }
    const base = digestOf('ocp_4.5_base') ?? ''
    for (const repository of ['openshift/ci', 'ocp/4.5']) {
      const pulled = await pull({ repository, reference: base, username: 'alice', password: alice })
      t.equal(pulled.digest, base, `${repository} by digest`)
    }
    const dated = `20231029_sha256_${base.slice('sha256:'.length)}`
    t.equal(
      (await pull({ repository: 'openshift/ci', reference: dated, username: 'alice', password: alice }))
        .digest,
      base,
    )
  },
)

await scenario(
  'trap 43: the cost of a pull of 20 layers, six at a time',
  async (t, { pull, puller, kubernetes, quay }) => {
    const image = await buildImage({
      name: 'my-team/big:latest',
      platforms: ['linux/amd64'],
      layers: 20,
      layerBytes: 100_000,
      format: 'oci',
    })
    quay.tag('my-team_big_latest', image)
    const reviewsBefore = { ...kubernetes.requests }
    const upstreamBefore = quay.requests.length
    const pulled = await pull({
      repository: 'my-team/big',
      reference: 'latest',
      username: 'sa',
      password: puller,
    })
    t.equal(pulled.blobs, 21)
    t.equal(kubernetes.requests.tokenReviews - reviewsBefore.tokenReviews, 1, 'one TokenReview')
    t.ok(
      kubernetes.requests.subjectAccessReviews - reviewsBefore.subjectAccessReviews <= 2,
      'two SubjectAccessReviews',
    )
    const caused = quay.requests.slice(upstreamBefore)
    t.equal(
      caused.filter(({ url }) => url.startsWith('/v2/auth')).length,
      0,
      'the one token fetch was at the start',
    )
    t.equal(caused.filter(({ origin }) => origin === 'cdn').length, 21, 'one CDN request a blob')
    t.equal(
      caused.filter(({ origin }) => origin === 'quay').length,
      22,
      'one quay request a blob, one for the manifest',
    )
  },
)

await scenario('trap 21: HEAD has exactly the headers of GET', async (t, { ask, alice, quay }) => {
  const path = '/v2/ocp/4.5/manifests/base'
  const head = await ask(path, { method: 'HEAD', token: alice, headers: { accept } })
  t.equal(
    quay.requests.at(-1)?.method,
    'GET',
    'upstream was asked for all of it: the client asks for that next',
  )
  const before = quay.requests.length
  const get = await ask(path, { token: alice, headers: { accept } })
  t.equal(quay.requests.length, before, 'and not again')
  for (const name of ['content-type', 'content-length', 'docker-content-digest'])
    t.equal(head.headers.get(name), get.headers.get(name), name)
  t.equal(head.headers.get('content-length'), String(get.body.length))
  t.equal(get.headers.get('docker-content-digest'), sha256(get.body))
  t.equal(
    get.headers.get('content-type'),
    'application/vnd.oci.image.index.v1+json',
    'trap 20: nothing appended',
  )
  t.equal(head.body.length, 0)
})

await scenario(
  "trap 34: Range reaches the CDN, and the CDN's response the client",
  async (t, { ask, alice, stock, pull }) => {
    await pull({ repository: 'ocp/4.5', reference: 'base', username: 'alice', password: alice })
    const blob = stock.sharedLayers[0] ?? ''
    const path = `/v2/openshift/ci/blobs/${blob}`
    const whole = await ask(path, { token: alice })
    t.equal(sha256(whole.body), blob)
    t.equal(whole.headers.get('docker-content-digest'), blob)
    t.equal(whole.headers.get('accept-ranges'), 'bytes')
    const part = await ask(path, { token: alice, headers: { range: 'bytes=100-199' } })
    t.equal(part.status, 206)
    t.equal(part.headers.get('content-range'), `bytes 100-199/${whole.body.length}`)
    t.ok(part.body.equals(whole.body.subarray(100, 200)))
    const overrun = await ask(path, { token: alice, headers: { range: `bytes=100-${whole.body.length}` } })
    t.equal(overrun.status, 206, 'one byte too many is clamped')
    t.ok(overrun.body.equals(whole.body.subarray(100)))
    const outside = await ask(path, { token: alice, headers: { range: `bytes=${whole.body.length}-` } })
    t.equal(outside.status, 416)
    const head = await ask(path, { method: 'HEAD', token: alice })
    t.equal(head.headers.get('content-length'), String(whole.body.length))
  },
)

await scenario(
  'trap 35: a zstd:chunked pull has 1024 ranges in one field',
  async (t, { ask, alice, stock, pull }) => {
    await pull({ repository: 'ocp/4.5', reference: 'base', username: 'alice', password: alice })
    const ranges = Array.from({ length: 1024 }, (_, index) => `${index * 60}-${index * 60 + 9}`).join(',')
    const path = `/v2/openshift/ci/blobs/${stock.sharedLayers[0]}`
    const answer = await ask(path, { token: alice, headers: { range: `bytes=${ranges}` } })
    t.equal(answer.status, 206)
    t.match(answer.headers.get('content-type'), /^multipart\/byteranges; ?boundary=/)
  },
)

await scenario('trap 22: a client without Accept gets the stored type', async (t, { raw, alice }) => {
  for (const field of ['', 'Accept: */*\r\n']) {
    const answer = await raw(
      `GET /v2/ocp/4.5/manifests/base HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${alice}\r\n${field}Connection: close\r\n\r\n`,
    )
    t.match(answer, /^HTTP\/1\.1 200 /)
    t.match(answer, /content-type: application\/vnd\.oci\.image\.index\.v1\+json\r\n/)
  }
})

await scenario(
  'trap 24: unknown query parameters are accepted and go no further',
  async (t, { ask, alice, quay }) => {
    const answer = await ask('/v2/ocp/4.5/manifests/base?ns=quay.io&x=y', {
      token: alice,
      headers: { accept },
    })
    t.equal(answer.status, 200)
    t.equal(quay.requests.at(-1)?.url, '/v2/openshift/ci/manifests/ocp_4.5_base')
  },
)

await scenario(
  'trap 23: upstream is asked for no encoding, whatever the client accepts',
  async (t, { ask, alice, stock, quay }) => {
    const headers = {
      accept,
      'accept-encoding': 'zstd;q=1.0, gzip;q=0.8, deflate;q=0.5',
      cookie: 'a=b',
      via: '1.1 x',
    }
    await ask('/v2/ocp/4.5/manifests/base', { token: alice, headers })
    const blob = await ask(`/v2/ocp/4.5/blobs/${stock.sharedLayers[0]}`, { token: alice, headers })
    t.equal(blob.headers.get('content-encoding'), null)
    const sent = quay.requests.filter(({ url }) => !url.startsWith('/v2/auth') && url !== '/v2/')
    t.ok(sent.length >= 3)
    for (const request of sent) {
      t.equal(request.headers['accept-encoding'], 'identity')
      t.equal(request.headers.cookie, undefined)
      t.equal(request.headers.via, undefined)
      t.equal(request.headers['x-forwarded-for'], undefined)
    }
  },
)

await scenario(
  'one log line for each request has the user, the image and the decision',
  async (t, { ask, alice, mallory, lines }) => {
    const pulled = await ask('/v2/ocp/4.5/manifests/base', { token: alice, headers: { accept } })
    const refused = await ask('/v2/ocp/4.5/manifests/base', { token: mallory, headers: { accept } })
    const find = (answer: typeof pulled) =>
      lines().find(({ requestId }) => requestId === answer.headers.get('x-request-id'))
    t.match(find(pulled), {
      identity: 'alice',
      repository: 'ocp/4.5',
      image: 'ocp_4.5_base',
      namespace: 'ocp',
      decision: 'allowed',
      rule: 'qci-wide',
      status: 200,
      bytes: Number,
      seconds: Number,
    })
    t.match(find(refused), {
      identity: 'mallory',
      decision: 'denied',
      rule: 'none',
      status: 403,
      error: 'DENIED',
    })
  },
)
