import { jwtVerify } from 'jose'
import t from 'tap'
import { mint } from '../../../src/registry/authentication/issue-token.ts'

const options = { issuer: 'https://proxy', audience: 'somebody', subject: 'ci+robot', validitySeconds: 300 }

await t.test('trap 9: signed with the newest key, and valid for longer than announced', async (t) => {
  const [newest, older] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  const { token, expiresInSeconds } = await mint({ ...options, keys: () => [newest, older] })
  t.equal(expiresInSeconds, 300)
  const { payload } = await jwtVerify(token, newest, { algorithms: ['HS256'] })
  t.match(payload, { iss: 'https://proxy', aud: 'somebody', sub: 'ci+robot' })
  t.equal(Number(payload.exp) - Number(payload.iat), 360)
  await t.rejects(jwtVerify(token, older))
})

await t.test('without a key there is no token', async (t) => {
  await t.rejects(mint({ ...options, keys: () => [] }))
})
