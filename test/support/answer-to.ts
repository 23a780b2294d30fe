import type { Socket } from 'node:net'

/** Reads a connection to its end. The end may be a reset while this side still sends. */
export const answerTo = async (socket: Socket): Promise<string> =>
  await new Promise((resolve) => {
    let answer = ''
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    socket.once('close', () => resolve(answer))
  })
