/**
 * Estimates whether a secret can be guessed. Attack: with one token that the secret signed, an attacker can test guesses offline, on as many
 * machines as they can pay for. No check can prove that a secret is good, but the usual bad ones can be recognised.
 */

/** Characters of `openssl rand -hex 16`. */
const minLength = 32
/** By the estimate below, which is low: random hexadecimal digits of `minLength` are far above it. */
const minBits = 80
/** Characters of a secret that are examined: the search takes quadratic time. */
const maxExamined = 512

/**
 * What is wrong with a secret, as the rest of a sentence after its name; undefined if no weakness is found. The text does not help to guess
 * the secret.
 */
export const weaknessOf = (secret: string): string | undefined => {
  if (secret.includes('\uFFFD')) return 'holds bytes that are no text, of which nothing is left'
  if (secret.length < minLength) return `has fewer than ${minLength} characters`
  if (estimatedBits(secret) < minBits) return 'repeats itself, counts, or is made of well-known words'
  return undefined
}

/** Parts of secrets that people type: rows of keyboards, alphabets, words of documentation. */
const wellKnown = [
  'abcdefghijklmnopqrstuvwxyz zyxwvutsrqponmlkjihgfedcba 01234567890123456789 98765432109876543210',
  'qwertyuiop asdfghjkl zxcvbnm qwertzuiop yxcvbnm 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p deadbeef cafebabe',
  'change-me change_me changeme please replace-me replaceme your- this-is- password passw0rd p@ssw0rd secret s3cret',
  'super token signing session default example sample placeholder insecure testing test-secret development production',
  'letmein welcome admin administrator login username hunter2 swordfish correcthorsebatterystaple lorem ipsum dolor',
  'quay-proxy quay.io openshift redhat kubernetes registry docker robot container image correct horse battery staple',
  '-----begin rsa ec openssh encrypted private key----- -----begin certificate-----',
].join(' ')

/** The shortest repeated run in characters, and the bits that encode its position and length. */
const minSeen = 4
const bitsOfSeen = 10

/** The bits that encode the secret for a reader that has `wellKnown` and the set of its characters. */
const estimatedBits = (secret: string): number => {
  const text = secret.slice(0, maxExamined).toLowerCase()
  const bitsOfCharacter = Math.log2(new Set(text).size)
  let bits = 0
  let at = 0
  while (at < text.length) {
    const seen = longestSeen(text, at)
    const counted = longestCounted(text, at)
    if (counted > 0 && counted >= seen) {
      bits += Math.min(counted, bitsOfSeen)
      at += counted
    } else if (seen >= minSeen) {
      bits += bitsOfSeen
      at += seen
    } else {
      bits += bitsOfCharacter
      at++
    }
  }
  return bits
}

/** The length of the run at `at` that is also in `wellKnown`, or begins earlier in the secret. */
const longestSeen = (text: string, at: number): number => {
  const all = `${wellKnown} ${text}`
  const here = all.length - text.length + at
  let length = 0
  while (at + length < text.length && all.indexOf(text.slice(at, at + length + 1)) < here) length++
  return length
}

/** The length of the run at `at` that continues the sequence before it. */
const longestCounted = (text: string, at: number): number => {
  let length = 0
  while (isCounted(text, at + length)) length++
  return length
}

/** The same step as before it, which is one up, one down or zero: `abc`, `321`, and alternating `1a2b3c`. */
const isCounted = (text: string, at: number): boolean =>
  [1, 2].some((stride) => {
    const [one, two, three] = [at, at - stride, at - 2 * stride].map((index) => text.charCodeAt(index))
    const step = Number(one) - Number(two)
    return Math.abs(step) <= 1 && step === Number(two) - Number(three)
  })
