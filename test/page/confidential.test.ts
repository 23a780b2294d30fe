import type { Socket } from 'node:net'
import t from 'tap'
import { createIsConfidential } from '../../src/page/confidential.ts'

interface Case {
  readonly encrypted?: boolean
  readonly trusted?: boolean
  readonly address?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly proxyProtocol?: boolean
}

const isConfidential = ({ encrypted, trusted = false, address = '192.0.2.1', headers = {}, ...more }: Case) =>
  createIsConfidential({ isTrustedPeer: () => trusted, proxyProtocol: more.proxyProtocol ?? false })({
    raw: { socket: (encrypted === undefined ? {} : { encrypted }) as unknown as Socket } as never,
    headers,
    client: { address, network: address },
  })

await t.test('TLS, a proxy that had TLS, or this machine', async (test) => {
  for (const one of [
    { encrypted: true },
    { encrypted: true, trusted: true },
    { trusted: true, headers: { 'x-forwarded-proto': 'https' } },
    { trusted: true, headers: { 'x-forwarded-proto': 'HTTPS, https' } },
    { address: '127.0.0.1' },
    { address: '::1' },
  ])
    test.ok(isConfidential(one), JSON.stringify(one))
})

await t.test('attack: somebody on the way reads the token', async (test) => {
  const forwarded = (proto: string | string[]) => ({ headers: { 'x-forwarded-proto': proto } })
  for (const one of [
    {},
    { trusted: true },
    forwarded('https'),
    { trusted: true, ...forwarded('http') },
    { trusted: true, encrypted: true, ...forwarded('http') },
    { trusted: true, ...forwarded('https, http') },
    { trusted: true, ...forwarded(['https', 'http']) },
    { trusted: true, ...forwarded('') },
    { trusted: true, address: '127.0.0.1' },
    { address: '127.0.0.1', ...forwarded('https') },
    { address: '127.0.0.1', headers: { 'x-forwarded-for': '192.0.2.1' } },
    { address: '127.0.0.1', proxyProtocol: true },
  ])
    test.notOk(isConfidential(one), JSON.stringify(one))
})
