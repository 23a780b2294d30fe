import t from 'tap'
import type { FastifyReply } from 'fastify'
import { createTagOwner } from '../../src/oci/qci-tag.ts'
import { parseReference, parseRepository } from '../../src/oci/reference.ts'
import { imageOf } from '../../src/registry/image-fields.ts'
import { digest } from './fakes.ts'

const parse = (text: string) =>
  parseReference(
    parseRepository('ocp', '4.5', 'openshift/ci'),
    text,
    createTagOwner(() => false),
  )
const answering = (served: string | undefined) => ({ getHeader: () => served }) as unknown as FastifyReply

await t.test('a tag with the digest of the response; a digest by itself', async (test) => {
  test.strictSame(imageOf(parse('base'), answering(digest)), { image: 'ocp_4.5_base', digest })
  test.strictSame(imageOf(parse('base'), answering(undefined)), { image: 'ocp_4.5_base', digest: undefined })
  test.strictSame(imageOf(parse(digest), answering(undefined)), { image: digest, digest })
})
