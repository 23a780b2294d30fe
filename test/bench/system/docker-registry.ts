/** Debian's docker-registry, behind a proxy that counts the requests. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { answers, freePort } from '../../e2e/process.ts'
import { start } from './processes.ts'

export interface Traffic {
  readonly requests: number
  /** Of bodies, in both directions. */
  readonly bytes: number
}

export interface CountedRegistry extends AsyncDisposable {
  /** Of the front. */
  readonly host: string
  /** Since the last call. */
  readonly traffic: () => Traffic
}

/** @param directory the registry stores in `<directory>/<name>` */
export const startCountedRegistry = async (directory: string, name: string): Promise<CountedRegistry> => {
  await using started = new AsyncDisposableStack()
  const port = await freePort()
  const file = join(directory, `${name}.yml`)
  // JSON is YAML.
  const configuration = {
    version: '0.1',
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(directory, name) } },
    http: { addr: `127.0.0.1:${port}` },
  }
  writeFileSync(file, JSON.stringify(configuration))
  const ready = async () => await answers(`http://127.0.0.1:${port}/v2/`, 200)
  started.use(await start('docker-registry', ['serve', file], { directory, name, ready }))
  const counts = { requests: 0, bytes: 0 }
  const count = (chunk: Buffer): void => {
    counts.bytes += chunk.length
  }
  const server = createServer((request, response) => {
    counts.requests += 1
    const { method, url: path, headers } = request
    const onward = forward({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.on('data', count)
      pipeline(answer, response, () => undefined)
    })
    request.on('data', count)
    pipeline(request, onward, (error) => {
      if (error) response.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  started.defer(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  const disposers = started.move()
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    traffic: () => {
      const seen = { ...counts }
      Object.assign(counts, { requests: 0, bytes: 0 })
      return seen
    },
    [Symbol.asyncDispose]: async () => await disposers.disposeAsync(),
  }
}
