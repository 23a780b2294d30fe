/**
 * Figures from inside a process of Node.js that was started with `--inspect=127.0.0.1:0`, without code of its own for it.
 * @see https://chromedevtools.github.io/devtools-protocol/v8/
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'

export interface Inside {
  /** Bytes, after a garbage collection. */
  readonly heapUsed: number
  readonly external: number
  /** 99th percentile since the last call, in milliseconds. */
  readonly loopDelay: number
}

export interface Inspector extends AsyncDisposable {
  readonly look: () => Promise<Inside>
}

interface Answer {
  readonly id: number
  readonly result?: { readonly result?: { readonly value?: unknown } }
  readonly error?: unknown
}

/** The garbage collection delays the event loop: the delay is read before it, and reset after it. */
const resolutionMs = 10
const prepare = `(() => {
  const { monitorEventLoopDelay } = process.getBuiltinModule('node:perf_hooks')
  globalThis.benchDelay = monitorEventLoopDelay({ resolution: ${resolutionMs} })
  globalThis.benchDelay.enable()
})()`
// The histogram has the time from one timer to the next, on an idle loop the interval itself.
const readDelay = `Math.max(0, globalThis.benchDelay.percentile(99) / 1e6 - ${resolutionMs})`
const readMemory = '(({ heapUsed, external }) => ({ heapUsed, external }))(process.memoryUsage())'
const reset = 'globalThis.benchDelay.reset()'

/** @param log the file in which the process has written the address of its inspector */
export const openInspector = async (log: string): Promise<Inspector> => {
  const address = /ws:\/\/\S+/.exec(await readFile(log, 'utf8'))?.[0]
  if (address === undefined) throw new Error('the process has no inspector')
  const socket = new WebSocket(address)
  await once(socket, 'open')
  const waiting = new Map<number, (answer: Answer) => void>()
  socket.addEventListener('message', ({ data }) => {
    const answer = JSON.parse(String(data)) as Answer
    waiting.get(answer.id)?.(answer)
    waiting.delete(answer.id)
  })
  let last = 0
  const call = async (method: string, params: object = {}): Promise<unknown> => {
    const id = ++last
    const { promise, resolve } = Promise.withResolvers<Answer>()
    waiting.set(id, resolve)
    socket.send(JSON.stringify({ id, method, params }))
    const { result, error } = await promise
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`)
    return result?.result?.value
  }
  const evaluate = async (expression: string) =>
    await call('Runtime.evaluate', { expression, returnByValue: true })
  await call('HeapProfiler.enable')
  await evaluate(prepare)
  return {
    look: async () => {
      const loopDelay = (await evaluate(readDelay)) as number
      await call('HeapProfiler.collectGarbage')
      const memory = (await evaluate(readMemory)) as Omit<Inside, 'loopDelay'>
      await evaluate(reset)
      return { ...memory, loopDelay }
    },
    [Symbol.asyncDispose]: async () => socket.close(),
  }
}
