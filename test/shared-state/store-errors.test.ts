import t from 'tap'
import {
  endsSession,
  reasonOf,
  refusalOf,
  StoreUnavailable,
  StoreRefused,
  StoreSlow,
} from '../../src/shared-state/store-errors.ts'

await t.test('the code of an error is found wherever a server writes it', async (test) => {
  const rows = [
    ['OOM command not allowed when used memory > maxmemory', 'OOM'],
    ["OOM command not allowed when used memory > 'maxmemory'. script: 5d, on @user_script:1.", 'OOM'],
    ['ERR Error running script (call to f_1): @user_script:3: -READONLY You cannot write', 'READONLY'],
    ['WRONGPASS invalid username-password pair or user is disabled.', 'WRONGPASS'],
    ['MOVED 866 127.0.0.1:7001', 'MOVED'],
    ['what is this', 'ERR'],
  ]
  for (const [text = '', code] of rows) test.equal(refusalOf(text).code, code, text)
})

await t.test('attack: a server that echoes the password does not bring it into the log', async (test) => {
  const echo = "ERR unknown command 'AUTH', with args beginning with: 'hunter2'"
  test.notMatch(reasonOf(refusalOf(echo)), /hunter2/)
  test.notMatch(refusalOf(echo).stack, /hunter2/)
  test.equal(refusalOf(echo).cause, undefined)
  test.notMatch(reasonOf(new Error('hunter2')), /hunter2/)
})

await t.test('messages say what to do', async (test) => {
  test.equal(reasonOf(new StoreSlow(250)), 'the store did not answer within 250 ms')
  test.equal(reasonOf(new StoreUnavailable('gone')), 'gone')
  test.match(reasonOf(new StoreRefused('NOAUTH')), /--shared-state-password-file/)
  test.match(reasonOf(new StoreRefused('MOVED')), /without cluster mode/)
  test.equal(reasonOf(new StoreRefused('WRONGTYPE')), 'the store answered WRONGTYPE')
  const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  test.equal(reasonOf(refused), 'the store cannot be reached (ECONNREFUSED)')
  test.equal(reasonOf(new TypeError('x')), 'the store cannot be reached (TypeError)')
})

await t.test('the errors that end a session; a full store does not', async (test) => {
  for (const code of ['READONLY', 'NOAUTH', 'WRONGPASS', 'LOADING', 'MOVED', 'PROTOCOL'])
    test.ok(endsSession(new StoreRefused(code)), code)
  for (const error of [
    new StoreRefused('OOM'),
    new StoreRefused('MISCONF'),
    new StoreSlow(1),
    new Error('x'),
  ])
    test.notOk(endsSession(error), error.message)
})
