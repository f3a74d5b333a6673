import { randomInt } from 'node:crypto'

export interface PortRange {
  readonly from: number
  readonly to: number
  readonly restSeconds: number
}

/** Which of several processes that share the range this is: each has its own pairs of ports. */
export interface Share {
  readonly index: number
  readonly count: number
}

export const wholeRange: Share = { index: 0, count: 1 }

/** The ports of one relay address: which are taken, which rest. */
export interface Ports {
  /**
   * Offers free ports in random order until `take` accepts one; undefined when none did. With
   * `isEven` only even ones, with `isPair` only those whose next higher port is free too.
   */
  pick<Taken>(
    nowSeconds: number,
    wish: { readonly isEven: boolean; readonly isPair: boolean },
    take: (port: number) => Taken | undefined,
  ): Taken | undefined
  /** Takes this port; undefined when it is taken. */
  take<Taken>(port: number, take: (port: number) => Taken | undefined): Taken | undefined
  /** Keeps a port from being picked until then. */
  hold(port: number, untilSeconds: number): void
  /** The port rests from now on. */
  free(port: number, nowSeconds: number): void
}

/** After so many the host has no sockets, or another program took the range: the search ends. */
const maxRefusals = 64
/** A port that could not be bound belongs to somebody else; it is not tried again for this long. */
const foreignSeconds = 10

export function ports(range: PortRange, share: Share): Ports {
  const firstPair = Math.ceil(range.from / 2)
  const lastPair = Math.floor((range.to - 1) / 2)
  const first = firstPair + ((share.index - (firstPair % share.count) + share.count) % share.count)
  const pairs = Math.max(0, Math.floor((lastPair - first) / share.count) + 1)
  const taken = new Uint8Array(pairs * 2)
  /** Second from which on the port may be used, by its place. */
  const restsUntil = new Uint32Array(pairs * 2)

  const portOf = (place: number): number => (first + (place >> 1) * share.count) * 2 + (place & 1)
  const placeOf = (port: number): number | undefined => {
    const steps = ((port >> 1) - first) / share.count
    return Number.isInteger(steps) && steps >= 0 && steps < pairs
      ? steps * 2 + (port & 1)
      : undefined
  }
  const isFree = (place: number, nowSeconds: number): boolean =>
    taken[place] === 0 && (restsUntil[place] ?? 0) <= nowSeconds

  return {
    pick(nowSeconds, wish, take) {
      if (pairs === 0) return undefined
      const step = wish.isEven || wish.isPair ? 2 : 1
      const count = (pairs * 2) / step
      let refusals = 0
      const attempt = (place: number) => {
        if (!isFree(place, nowSeconds)) return undefined
        if (wish.isPair && !isFree(place + 1, nowSeconds)) return undefined
        const result = take(portOf(place))
        if (result === undefined) {
          refusals += 1
          restsUntil[place] = nowSeconds + foreignSeconds
        } else {
          taken[place] = 1
        }
        return result
      }
      // At random while that finds a free one soon, then in order from a random place.
      for (let tries = 0; tries < 32 && refusals < maxRefusals; tries += 1) {
        const result = attempt(randomInt(count) * step)
        if (result !== undefined) return result
      }
      const start = randomInt(count)
      for (let tries = 0; tries < count && refusals < maxRefusals; tries += 1) {
        const result = attempt(((start + tries) % count) * step)
        if (result !== undefined) return result
      }
      return undefined
    },
    take(port, take) {
      const place = placeOf(port)
      if (place !== undefined && taken[place] === 1) return undefined
      const result = take(port)
      if (result !== undefined && place !== undefined) taken[place] = 1
      return result
    },
    hold(port, untilSeconds) {
      const place = placeOf(port)
      if (place !== undefined) restsUntil[place] = untilSeconds
    },
    free(port, nowSeconds) {
      const place = placeOf(port)
      if (place === undefined) return
      taken[place] = 0
      restsUntil[place] = nowSeconds + range.restSeconds
    },
  }
}
