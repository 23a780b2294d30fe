/**
 * Passes the status of every response of a connection pool to a function, before the response is read.
 */
import type { Dispatcher } from './connection-pool.ts'

type Interceptor = Extract<Parameters<Dispatcher['compose']>[0], (...args: never[]) => unknown>
type Handler = Parameters<ReturnType<Interceptor>>[1]

/**
 * @param begin is called when a request is sent. The function that it returns is called with the status of the response; if that throws,
 *   the request fails with the error, and the response is not read.
 */
export const onResponse =
  (begin: () => (status: number) => void): Interceptor =>
  (dispatch) =>
  (options, handler) => {
    const look = begin()
    const onResponseStart: NonNullable<Handler['onResponseStart']> = (controller, status, ...rest) => {
      look(status)
      handler.onResponseStart?.(controller, status, ...rest)
    }
    const observed = new Proxy(handler, {
      get: (target, name) => {
        if (name === 'onResponseStart') return onResponseStart
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
    return dispatch(options, observed)
  }
