import t from 'tap'
import { ConfigError } from '../../src/config/config-error.ts'

await t.test('the error and its message have every problem', async (test) => {
  const error = new ConfigError(['a', 'b'])
  test.match(error, { name: 'ConfigError', message: 'a\nb', problems: ['a', 'b'] })
})
