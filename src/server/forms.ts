/**
 * The bodies of requests while they arrive: forms of a few hundred bytes, which come in one packet with their head or soon after.
 *
 * Attack: thousands of forms that are announced and never sent.
 */
import type { Socket } from 'node:net'
import type {
  FastifyInstance,
  FastifyRequest,
  preParsingHookHandler,
  preValidationHookHandler,
  RouteOptions,
} from 'fastify'
import { RegistryError, unavailable } from '../oci/errors.ts'
import { FairShares } from './fair-shares.ts'

export interface FormsOptions {
  /** Milliseconds for a body to arrive once its head is there. */
  readonly formMs: number
  /** Bodies that are on their way at a time, of all clients together. */
  readonly maxForms: number
  /** Called for each request that is sent away. */
  readonly observeShed: () => void
  /** Run once a body is whole. */
  readonly whole: preValidationHookHandler
}

/** For each route to come that reads a body. Others pay nothing for it. */
export const readForms = (app: FastifyInstance, options: FormsOptions) => {
  const { formMs, maxForms, observeShed, whole } = options
  const shares = new FairShares(maxForms)
  const arriving = new WeakSet<Socket>()
  const ends = new WeakMap<FastifyRequest, () => void>()

  const begin: preParsingHookHandler = (request, reply, _payload, done) => {
    const { network } = request.client
    if (!shares.tryTake(network)) {
      observeShed()
      done(unavailable('too many requests at once from your address; try again in a moment', undefined, 1))
      return
    }
    const { socket } = request.raw
    arriving.add(socket)
    const late = setTimeout(() => {
      observeShed()
      void reply.send(
        new RegistryError('UNSUPPORTED', 'the request took too long to arrive', { status: 408 }),
      )
    }, formMs)
    const end = () => {
      // Once: the body is whole, and later the answer is through.
      if (!ends.delete(request)) return
      clearTimeout(late)
      arriving.delete(socket)
      shares.giveBack(network)
    }
    ends.set(request, end)
    reply.raw.once('close', end)
    done()
  }
  const end: preValidationHookHandler = (request, _reply, done) => {
    ends.get(request)?.()
    done()
  }
  app.addHook('onRoute', (route) => {
    if (!readsBody(route)) return
    route.preParsing = begin
    route.preValidation = [end, whole]
  })
  return { isArriving: (socket: Socket): boolean => arriving.has(socket) }
}

const readsBody = ({ method }: RouteOptions): boolean => [method].flat().includes('POST')
