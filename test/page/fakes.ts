/** A server whose explanations a test asks for. */
import type { Test } from 'tap'
import type { Explanation } from '../../src/explain/explanation.ts'
import { bearer } from '../registry/fakes.ts'
import { serve, type FlatOptions } from '../server/server-options.ts'

export const explaining = async (test: Test, more: Partial<FlatOptions> = {}) => {
  const served = await serve(test, more)
  const explain = async (image: string) => {
    const { body, ...rest } = await served.get(`/access?image=${encodeURIComponent(image)}`, {
      headers: bearer,
    })
    return { ...rest, body, explanation: JSON.parse(body) as Explanation }
  }
  return { ...served, explain }
}
