import type { Timer, TimerWheel } from './timer-wheel.ts'

/** A port that other programs are kept from until it is closed. */
export interface KeptPort {
  close(): void
}

/**
 * The ports that are kept for who brings a token. Asking for them costs no quota, so there is a most
 * of them: the oldest is given up for the newest.
 */
export interface KeptPorts {
  add(port: KeptPort, untilSeconds: number): void
}

const mostPorts = 256

export function keptPorts(wheel: TimerWheel): KeptPorts {
  const kept = new Map<KeptPort, Timer>()

  function giveUp(port: KeptPort, timer: Timer): void {
    wheel.remove(timer)
    kept.delete(port)
    port.close()
  }

  return {
    add(port, untilSeconds) {
      const [oldest] = kept
      if (oldest !== undefined && kept.size >= mostPorts) giveUp(...oldest)
      const timer = wheel.add(untilSeconds, () => {
        kept.delete(port)
        port.close()
      })
      kept.set(port, timer)
    },
  }
}
