import type { Socket } from 'node:net'

/** All that comes on a connection until its end, which may be a reset in the middle of what is still sent. */
export const answerTo = async (socket: Socket): Promise<string> =>
  await new Promise((resolve) => {
    let answer = ''
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    socket.once('close', () => resolve(answer))
  })
