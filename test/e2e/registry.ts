import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, request as forward, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream'
import { answers, freePort, plainEnv, startService } from './process.ts'
import type { TokenRealm } from './token-realm.ts'

export type Registry = {
  host: string
  url: string
  /** The requests to the registry and to the realm: method and path. */
  requests: string[]
  /** May be called again. */
  stop: () => Promise<void>
}

// JSON is YAML
const configuration = (storage: string, port: number, realm: TokenRealm, realmUrl: string) => ({
  version: '0.1',
  log: { level: 'info' },
  storage: { filesystem: { rootdirectory: storage } },
  http: { addr: `127.0.0.1:${port}`, secret: 'one instance needs no shared secret' },
  auth: {
    token: {
      realm: realmUrl,
      service: realm.service,
      issuer: realm.issuer,
      rootcertbundle: realm.certificateFile,
    },
  },
})

const forwardTo =
  (port: number): RequestListener =>
  (request, response) => {
    const { method, url: path, headers } = request
    const onward = forward({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      // A proxy that was ending has ended meanwhile.
      if (response.destroyed) answer.destroy()
      else {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        pipeline(answer, response, () => undefined)
      }
    })
    pipeline(request, onward, (error) => {
      if (error) response.destroy()
    })
  }

/** One origin for the realm and the registry, as at quay.io: the proxy sends the robot's password to no other origin. */
const startFront = async (realm: TokenRealm, registryPort: number) => {
  const toRegistry = forwardTo(registryPort)
  const requests: string[] = []
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    requests.push(`${request.method} ${path}`)
    ;(path === realm.path ? realm.serve : toRegistry)(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  return { host: `127.0.0.1:${port}`, requests, close }
}

/** Debian's docker-registry (CNCF distribution) behind a token realm. It streams blobs itself, where quay redirects. */
export const startRegistry = async (directory: string, realm: TokenRealm): Promise<Registry> => {
  const storage = join(directory, 'registry')
  const file = join(directory, 'registry.yml')
  const port = await freePort()
  const { host, requests, close } = await startFront(realm, port)
  const url = `http://${host}`
  await mkdir(storage)
  await writeFile(file, JSON.stringify(configuration(storage, port, realm, url + realm.path)))
  const ready = () => answers(`${url}/v2/`, 401)
  const service = await startService('docker-registry', ['serve', file], ready, {
    env: plainEnv({ OTEL_TRACES_EXPORTER: 'none' }),
  }).catch(async (error: unknown) => {
    await close()
    throw error
  })
  let stopped: Promise<void> | undefined
  const end = async () => {
    await close()
    await service.stop()
  }
  return { host, url, requests, stop: () => (stopped ??= end()) }
}
