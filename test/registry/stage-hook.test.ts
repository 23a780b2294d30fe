import fastify from 'fastify'
import t from 'tap'
import { stageHook, type Stage } from '../../src/registry/stage-hook.ts'

const statusWith = async (stage: Stage) => {
  const app = fastify()
  app.get('/', { onRequest: stageHook(stage) }, async () => 'handled')
  const { statusCode, payload } = await app.inject('/')
  await app.close()
  return statusCode === 200 ? payload : JSON.parse(payload).message
}

const fail = () => {
  throw new Error('refused')
}

await t.test('the next stage runs when the stage has ended, at once or later', async (test) => {
  test.equal(await statusWith(() => undefined), 'handled')
  test.equal(await statusWith(async () => undefined), 'handled')
})

await t.test('an error of the stage ends the request, thrown at once or later', async (test) => {
  test.equal(await statusWith(fail), 'refused')
  test.equal(await statusWith(async () => fail()), 'refused')
})
