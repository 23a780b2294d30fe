/** Far more than a loaded machine needs, and less than the deadline of a test file: the test that waits is named. */
const maxWaitMs = 120_000

/** Resolves once it holds. @throws {Error} with the text of the condition, if it does not hold within two minutes */
export const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  const start = performance.now()
  while (!(await holds())) {
    if (performance.now() - start > maxWaitMs) throw new Error(`not within two minutes: ${String(holds)}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
