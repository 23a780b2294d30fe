import { X509Certificate, randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, RequestListener } from 'node:http'
import { join } from 'node:path'
import { SignJWT, importPKCS8 } from 'jose'
import { run } from './process.ts'

export type Account = { username: string; password: string; actions: readonly string[] }
export type TokenRequest = { username: string | undefined; scopes: string[]; status: number }
export type TokenRealm = {
  path: string
  service: string
  issuer: string
  certificateFile: string
  requests: TokenRequest[]
  issued: string[]
  serve: RequestListener
}

type Grant = { type: string; name: string; actions: string[] }

const accountOf = (request: IncomingMessage, accounts: readonly Account[]) => {
  const [scheme, credential = ''] = (request.headers.authorization ?? '').split(' ')
  if (scheme?.toLowerCase() !== 'basic') return undefined
  const [username, ...password] = Buffer.from(credential, 'base64').toString().split(':')
  return accounts.find((account) => account.username === username && account.password === password.join(':'))
}

// As quay does: a right that the account lacks is left out of the token, and the answer is 200.
const granted = (scopes: readonly string[], account: Account): Grant[] =>
  scopes.flatMap((scope) => {
    const [type = '', name = '', actions = ''] = scope.split(':')
    const allowed = actions.split(',').filter((action) => account.actions.includes(action))
    return allowed.length > 0 ? [{ type, name, actions: allowed }] : []
  })

const createKeyPair = async (directory: string) => {
  const keyFile = join(directory, 'realm.key')
  const certificateFile = join(directory, 'realm.crt')
  const made = await run('openssl', [
    ...'req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=token-realm'.split(' '),
    '-keyout',
    keyFile,
    '-out',
    certificateFile,
  ])
  if (made.code !== 0) throw new Error(made.output)
  const x5c = new X509Certificate(await readFile(certificateFile)).raw.toString('base64')
  return { certificateFile, x5c, key: await importPKCS8(await readFile(keyFile, 'utf8'), 'RS256') }
}

/** A fake of quay's /v2/auth, with tokens that CNCF distribution verifies. */
export const createTokenRealm = async (
  directory: string,
  accounts: readonly Account[],
): Promise<TokenRealm> => {
  const { certificateFile, x5c, key } = await createKeyPair(directory)
  const service = 'quay.test'
  const issuer = 'quay'
  const requests: TokenRequest[] = []
  const issued: string[] = []

  const tokenFor = (account: Account, scopes: readonly string[]) =>
    new SignJWT({ access: granted(scopes, account) })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT', x5c: [x5c] })
      .setIssuer(issuer)
      .setAudience(service)
      .setSubject(account.username)
      .setJti(randomUUID())
      .setIssuedAt()
      .setNotBefore('-10s')
      .setExpirationTime('1h')
      .sign(key)

  const answer = async (request: IncomingMessage): Promise<[status: number, body: object]> => {
    const url = new URL(request.url ?? '/', 'http://realm')
    const scopes = url.searchParams.getAll('scope')
    const account = accountOf(request, accounts)
    const status = url.pathname !== '/v2/auth' || request.method !== 'GET' ? 404 : account ? 200 : 401
    requests.push({ username: account?.username, scopes, status })
    if (!account || status !== 200) return [status, { error: 'Invalid username or password.' }]
    const token = await tokenFor(account, scopes)
    issued.push(token)
    return [200, { token }]
  }

  const serve: RequestListener = (request, response) => {
    answer(request).then(
      ([status, body]) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
      () => response.writeHead(500).end(),
    )
  }
  return { path: '/v2/auth', service, issuer, certificateFile, requests, issued, serve }
}
