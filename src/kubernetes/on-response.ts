/**
 * A look at the status of every answer that a connection pool gives, before anybody reads it.
 */
import type { Dispatcher } from './connection-pool.ts'

type Interceptor = Extract<Parameters<Dispatcher['compose']>[0], (...args: never[]) => unknown>
type Handler = Parameters<ReturnType<Interceptor>>[1]

/**
 * @param begin called for each request as it goes out. What it gives is called with the status of the answer; where that throws,
 *   the request fails with the error, and nothing of the answer is read.
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
