/** The API of a service of a test. */
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { createStatusServer, type MirrorStatus } from '../../../src/mirror/status/status-server.ts'

/** @returns its origin */
export const listening = async (test: Test, service: MirrorStatus): Promise<string> => {
  const server = createStatusServer(service)
  test.teardown(async () => await server.close())
  await server.listen({ host: '127.0.0.1', port: 0 })
  return `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`
}
