import { Registry } from 'prom-client'
import t from 'tap'
import { distributorName } from '../../../src/mirror/plan/owner.ts'
import { MirrorMetrics } from '../../../src/mirror/service/mirror-metrics.ts'
import type { ImageStatus } from '../../../src/mirror/status/image-book.ts'
import type { Digest } from '../../../src/oci/digest.ts'

const status = (target: string, state: ImageStatus['state'], differsSince?: number): ImageStatus => ({
  target,
  source: 'quay.io/a/b:c',
  destination: 'quay.io/openshift/ci:x',
  owner: target.startsWith('registry.') ? 'qciToAppCIImages' : 'supplementalCIImagesService',
  state,
  reason: undefined,
  digest: undefined,
  comparedAt: undefined,
  differsSince,
  copiedAt: undefined,
  copy: undefined,
})

await t.test('copies, and images by state', async (t) => {
  const now = 1_000_000
  let images = [
    status('a/b:1', 'same'),
    status('a/b:2', 'dead', now - 60_000),
    status('a/b:4', 'backing off', now - 30_000),
    status('a/b:5', 'waiting'),
    status('registry.ci.openshift.org/a/b:3', 'missing', now - 90_000),
    { ...status('ocp/4.5:old', 'missing'), owner: distributorName },
    { ...status('ocp/4.5:dead', 'dead'), owner: distributorName },
  ]
  const metrics = new MirrorMetrics(new Registry(), {
    images: () => images,
    queued: () => 7,
    hasLease: () => false,
    isConfigCurrent: () => false,
    isListWhole: () => false,
    watched: () => ({ tags: 12, silentSeconds: 3 }),
    now: () => now,
  })
  const digest = `sha256:${'0'.repeat(64)}` as Digest
  const blobs = { mounted: 3, present: 1, uploaded: 2 }
  metrics.copied({ blobs, bytes: 500, replaced: { digest, pruneTag: 'x' } }, 3000)
  metrics.copied({ blobs, bytes: 0, replaced: { digest, pruneTag: undefined } }, 3000)
  metrics.copied({ blobs, bytes: 0, replaced: undefined }, 3000)
  metrics.failed(false, 100)
  metrics.failed(true, 100)
  metrics.passed(2000, now)
  metrics.paused('quay.io', 1500)
  metrics.paused('quay.io', 500)
  const text = await metrics.registry.metrics()
  for (const line of [
    'quay_io_ci_images_distributor_image_mirroring_duration_seconds_bucket{le="4",state="success"} 3',
    'quay_io_ci_images_distributor_image_mirroring_duration_seconds_count{state="failure"} 2',
    'quay_io_ci_images_distributor_mirror_queue_depth 7',
    'ci_images_mirror_copies_total{result="copied"} 3',
    'ci_images_mirror_copies_total{result="failed"} 1',
    'ci_images_mirror_copies_total{result="dead"} 1',
    'ci_images_mirror_blobs_total{outcome="mounted"} 9',
    'ci_images_mirror_uploaded_bytes_total 500',
    'ci_images_mirror_replaced_images_total 1',
    'ci_images_mirror_last_pass_timestamp_seconds 1000',
    'ci_images_mirror_last_pass_duration_seconds 2',
    'ci_images_mirror_leader 0',
    'ci_images_mirror_config_current 0',
    'ci_images_mirror_list_whole 0',
    'ci_images_mirror_oldest_difference_seconds 90',
    'ci_images_mirror_images{state="same"} 1',
    'ci_images_mirror_images{state="copying"} 0',
    'ci_images_mirror_pause_seconds_total{host="quay.io"} 2',
    'ci_images_mirror_image_differs_seconds{target="a/b:4",owner="supplementalCIImagesService"} 30',
    'ci_images_mirror_image_unhealthy{target="a/b:2",state="dead",owner="supplementalCIImagesService"} 1',
    'ci_images_mirror_image_unhealthy{target="ocp/4.5:dead",state="dead",owner="quay_io_ci_images_distributor"} 1',
    'ci_images_mirror_images{state="missing"} 2',
    'ci_images_mirror_image_unhealthy{target="registry.ci.openshift.org/a/b:3",state="missing",owner="qciToAppCIImages"} 1',
  ])
    t.ok(text.includes(`${line}\n`), line)
  t.notMatch(text, 'target="ocp/4.5:old"')
  t.notMatch(text, /differs_seconds\{target="a\/b:[25]"/)
  images = []
  const later = await metrics.registry.metrics()
  t.notMatch(later, 'image_unhealthy{')
  t.match(later, 'ci_images_mirror_oldest_difference_seconds 0\n')
})
