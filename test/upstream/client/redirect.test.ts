import type { LookupAddress } from 'node:dns'
import t from 'tap'
import type { RegistryError } from '../../../src/oci/errors.ts'
import {
  checkRedirect,
  isPrivateAddress,
  isPrivateHost,
  observedLookup,
  publicLookup,
} from '../../../src/upstream/client/redirect.ts'
import { everythingIn, lookupOf, told } from '../upstream.ts'

const strict = { allowHttp: false, allowPrivate: false }
const base = new URL('https://quay.io/v2/openshift/ci/blobs/sha256:1')

const refusalOf = (location: string | undefined, rules = strict): RegistryError | undefined => {
  try {
    checkRedirect(location, base, rules)
    return undefined
  } catch (error) {
    return error as RegistryError
  }
}

await t.test('https to a public host is followed, its query untouched', async (test) => {
  const location = 'https://cdn01.quay.io/sha256/ab/cd?username=openshift%2Bci&Signature=a~b_&Expires=1'
  test.equal(checkRedirect(location, base, strict).href, location)
  for (const host of ['8.8.8.8', '[2001:4860:4860::8888]', '[::ffff:8.8.8.8]', '11.0.0.1', '172.32.0.1'])
    test.equal(refusalOf(`https://${host}/`), undefined, host)
})

await t.test('a relative redirect leads to the same host', async (test) => {
  test.equal(checkRedirect('/a?b=c', base, strict).href, 'https://quay.io/a?b=c')
  test.equal(checkRedirect('x', base, strict).href, 'https://quay.io/v2/openshift/ci/blobs/x')
  test.equal(checkRedirect('//cdn.example.com/', base, strict).href, 'https://cdn.example.com/')
})

await t.test('a missing or unreadable Location is refused', async (test) => {
  for (const location of [undefined, 'https://', 'https://[::1', 'http://a:99999999/']) {
    const error = refusalOf(location)
    test.equal(error && told(error), '503 UNAVAILABLE 5')
    test.match(error?.cause, new Error('redirect no readable Location'))
  }
})

await t.test(
  'a redirect to http is followed from an upstream on http only; other schemes never',
  async (test) => {
    test.match(refusalOf('http://cdn.quay.io/')?.cause, new Error('redirect to http:'))
    test.equal(refusalOf('http://cdn.quay.io/', { ...strict, allowHttp: true }), undefined)
    for (const location of ['file:///etc/passwd', 'ftp://cdn.quay.io/', 'data:,a', 'javascript:1'])
      test.match(refusalOf(location, { allowHttp: true, allowPrivate: true })?.cause, /redirect to [a-z]+:$/)
  },
)

await t.test('attack: a URL with a user in it is refused', async (test) => {
  for (const user of ['quay.io@', 'user:password@', ':password@'])
    test.match(refusalOf(`https://${user}cdn.quay.io/`)?.cause, new Error('redirect with a user in it'))
})

const privateHosts = {
  'localhost and below': ['localhost', 'a.localhost', 'LOCALHOST'],
  loopback: ['127.0.0.1', '127.255.0.1', '[::1]', '127.1', '0x7f.1', '2130706433', '0177.0.0.1'],
  unspecified: ['0.0.0.0', '[::]'],
  'link-local: the metadata of a cloud': ['169.254.169.254', '[fe80::1]'],
  'private and unique local': ['10.0.0.1', '172.16.0.1', '192.168.0.1', '[fd00::1]', '[fc00::1]'],
  'carrier NAT': ['100.64.0.1'],
  'IPv4-mapped': ['[::ffff:127.0.0.1]', '[::ffff:a9fe:a9fe]', '[::ffff:10.0.0.1]'],
  'IPv4 in another guise: NAT64, 6to4, Teredo': ['[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[2001::1]'],
  'multicast, broadcast, reserved': ['224.0.0.1', '255.255.255.255', '240.0.0.1', '[ff02::1]'],
}

for (const [name, hosts] of Object.entries(privateHosts))
  await t.test(`attack: ${name}, only if the upstream is private too`, async (test) => {
    for (const host of hosts) {
      const error = refusalOf(`https://${host}:6443/api`)
      test.match(error?.cause, new Error('redirect to a private address'), host)
      test.equal(refusalOf(`https://${host}/`, { ...strict, allowPrivate: true }), undefined)
    }
  })

await t.test('trap 37: a refusal never holds the URL, whose query opens the blob', async (test) => {
  const secret = '/secret?username=openshift%2Bci&Signature=secret'
  for (const start of ['http://cdn.quay.io', 'https://10.0.0.1', 'https://secret@cdn.quay.io', 'https://[:'])
    test.notMatch(everythingIn(refusalOf(start + secret)), /secret|openshift%2B|cdn\.quay|10\.0\.0/)
})

await t.test('names are not checked before they are resolved', async (test) => {
  test.equal(isPrivateHost('internal.example.com'), false)
  test.equal(isPrivateHost('localhost.example.com'), false)
  test.equal(isPrivateHost('[::1]'), true)
  test.equal(isPrivateAddress('::ffff:192.168.0.1'), true)
  test.equal(isPrivateAddress('fe80::1%eth0'), true)
  test.equal(isPrivateAddress('1.1.1.1'), false)
})

type GuardedLookup = ReturnType<typeof publicLookup>
type Resolved = { error: Error | null; addresses: string[] }

const resolve = (lookup: GuardedLookup, name: string, options: object = { all: true }): Promise<Resolved> =>
  new Promise((done) => {
    lookup(name, options, (error: Error | null, addresses: LookupAddress[]) =>
      done({ error, addresses: addresses.map(({ address }) => address) }),
    )
  })

const names = lookupOf({
  public: ['8.8.8.8', '2001:4860:4860::8888'],
  private: ['10.0.0.1'],
  mixed: ['8.8.8.8', '::ffff:127.0.0.1'],
})

await t.test('attack: a public name with a private address is refused', async (test) => {
  const lookup = publicLookup(() => false, names)
  test.strictSame(await resolve(lookup, 'public'), {
    error: null,
    addresses: ['8.8.8.8', '2001:4860:4860::8888'],
  })
  for (const name of ['private', 'mixed']) {
    const { error, addresses } = await resolve(lookup, name)
    test.match(error, { code: 'UNAVAILABLE', cause: new Error('redirect to a name with a private address') })
    test.strictSame(addresses, [], 'nothing is left to connect to')
    test.notMatch(everythingIn(error), /10\.0\.0\.1|127\.0/)
  }
})

await t.test('a private name is allowed while the upstream is private, checked each time', async (test) => {
  let allowed = true
  const lookup = publicLookup(() => allowed, names)
  test.strictSame(await resolve(lookup, 'private'), { error: null, addresses: ['10.0.0.1'] })
  allowed = false
  test.match(await resolve(lookup, 'private'), { error: { code: 'UNAVAILABLE' }, addresses: [] })
})

await t.test('an unknown name is an error', async (test) => {
  const lookups = [publicLookup(() => false, names), observedLookup(() => test.fail('no addresses'), names)]
  for (const lookup of lookups)
    test.match(await resolve(lookup, 'absent'), { error: { code: 'ENOTFOUND' }, addresses: [] })
})

await t.test('the addresses of the upstream are reported and used', async (test) => {
  const seen: string[] = []
  const lookup = observedLookup((addresses) => seen.push(...addresses), names)
  test.strictSame(await resolve(lookup, 'mixed'), { error: null, addresses: ['8.8.8.8', '::ffff:127.0.0.1'] })
  test.strictSame(seen, ['8.8.8.8', '::ffff:127.0.0.1'])
})

await t.test('by default the resolver of the system gives all addresses of a name', async (test) => {
  const seen: string[] = []
  const { addresses } = await resolve(
    observedLookup((all) => seen.push(...all)),
    'localhost',
    { all: false },
  )
  test.ok(addresses.every(isPrivateAddress) && addresses.length > 0)
  test.strictSame(seen, addresses)
  test.match(
    await resolve(
      publicLookup(() => false),
      'localhost',
    ),
    { error: { code: 'UNAVAILABLE' } },
  )
})
