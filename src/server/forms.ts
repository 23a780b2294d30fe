/**
 * Request bodies while they arrive: forms of a few hundred bytes, in the packet of their head or soon after.
 *
 * Attack: thousands of announced forms that are never sent.
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
  /** Milliseconds until the body has arrived, from the end of its head. */
  readonly formMs: number
  /** Unfinished bodies of all clients together. */
  readonly maxForms: number
  /** Called for each refused request. */
  readonly observeShed: () => void
  /** Called when a body has arrived as a whole. */
  readonly whole: preValidationHookHandler
}

/** Applies to every later route with a body. Other routes pay nothing for it. */
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
      // Called once: when the body is complete or when the response ends, whichever comes first.
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
