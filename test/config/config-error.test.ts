import t from 'tap'
import { ConfigError } from '../../src/config/config-error.ts'

await t.test('every problem is there, and stands in the message', async (test) => {
  const error = new ConfigError(['a', 'b'])
  test.match(error, { name: 'ConfigError', message: 'a\nb', problems: ['a', 'b'] })
})
