import type { NativePush } from '../../ports/push.ts'

/** No native push: clients learn at registration that no app is supported, and use their sockets. */
export function noPush(): NativePush {
  return {
    supports: () => false,
    notify: () => Promise.resolve('gone'),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
