import type { Logger } from 'pino'
import type { Client } from '../../../contract/endpoint.ts'
import { Unavailable } from '../../../contract/error.ts'
import type { Attach, attachmentsApi } from '../../../contract/gundeck/attachments.ts'
import { shardOf } from '../../../contract/gundeck/ring.ts'
import type { RingMap, ringApi } from '../../../contract/gundeck/ring.ts'
import type { NotificationId, UserId } from '../../../contract/ids.ts'
import type { Clock } from '../../../platform/clock.ts'

/** Calls of one owner of inboxes. */
export type OwnerClient = Pick<Client<typeof attachmentsApi>, 'exchangeAttachments'> &
  Client<typeof ringApi>
/** The gundeck that answers at the address in the ring. */
export type OwnerAt = (address: string) => OwnerClient

/** A socket as the owner of its inbox knows it, under one attachment after another. */
export interface Attachable {
  readonly user: UserId
  /** Where its attachment is; set and read by the links. */
  owner: OwnerLink | undefined
  /** The attachment is over; deliveries under it come no more. */
  onLost(): void
}

/** What a cannon has to say to one owner, see `OwnerLinks`. */
export interface OwnerLink {
  readonly id: string
  attach(attach: Attach): Promise<NotificationId>
  detach(attachment: number): void
  confirm(attachment: number, sequence: number, chars: number): void
}

export interface OwnerLinks<Socket extends Attachable> {
  /** Whose attachment it is, if it is not over. */
  find(attachment: number): Socket | undefined
  /**
   * Attaches under a new number, which deliveries may carry at once. Everything after the resulting
   * position will be delivered. Rejects when the owner is not known or does not answer.
   */
  attach(
    socket: Socket,
    place: Omit<Attach, 'attachment'>,
  ): { readonly attachment: number; readonly position: Promise<NotificationId> }
  detach(attachment: number): void
  /** Everything up to this sequence number has been written. */
  confirm(attachment: number, sequence: number, chars: number): void
  /** Milliseconds since the owner of the user's inbox last confirmed that it is the owner. */
  silenceMs(user: UserId): number
  /** The longest silence of all owners. */
  longestSilenceMs(): number
  run(signal: AbortSignal): Promise<void>
}

const heartbeatMs = 1000
/** Of each kind in one call: when every socket attaches again, it takes several. */
const largestCall = 2000

interface Waiting {
  readonly attach: Attach
  readonly resolve: (position: NotificationId) => void
  readonly reject: (error: unknown) => void
}

/**
 * One cannon's calls to the owners of the inboxes. What comes for one owner in one turn of the loop
 * goes out together, one call at a time; without any it is a heartbeat once a second. When the ring
 * changes, the sockets concerned lose their attachments and attach again where their inbox is now.
 */
export function createOwnerLinks<Socket extends Attachable>(deps: {
  /** Any gundeck. */
  gundeck: Client<typeof ringApi>
  ownerAt: OwnerAt
  /** Of this process start. */
  cannon: string
  address: string
  clock: Clock
  log: Logger
}): OwnerLinks<Socket> {
  const { gundeck, ownerAt, cannon, address, clock, log } = deps
  const sockets = new Map<number, Socket>()
  const links = new Map<string, Link>()
  let lastNumber = 0
  let map: RingMap | undefined
  let refreshing: Promise<void> | undefined
  const startedMs = clock.monotonicMs()

  function lose(number: number): void {
    const socket = sockets.get(number)
    if (socket === undefined) return
    sockets.delete(number)
    socket.owner = undefined
    socket.onLost()
  }

  interface Link extends OwnerLink {
    readonly client: OwnerClient
    confirmedMs: number
    beat(): void
    /** The ring names it no more: whoever waits to attach here goes elsewhere. */
    drop(): void
  }

  function createLink(id: string, client: OwnerClient): Link {
    const attaching: Waiting[] = []
    let inFlight: readonly Waiting[] = []
    const detached: number[] = []
    const confirmed = new Map<number, readonly [number, number]>()
    let tenure: string | undefined
    let isScheduled = false
    let isCalling = false

    async function call(): Promise<void> {
      isCalling = true
      const beganMs = clock.monotonicMs()
      const waiting = attaching.splice(0, largestCall)
      inFlight = waiting
      const detach = detached.splice(0, largestCall)
      const confirm: [number, number, number][] = []
      for (const [number, [sequence, chars]] of confirmed) {
        if (confirm.length >= largestCall) break
        confirm.push([number, sequence, chars])
        confirmed.delete(number)
      }
      try {
        const { body } = await client.exchangeAttachments({
          params: { cannon },
          body: { address, attach: waiting.map(({ attach }) => attach), detach, confirm },
        })
        if (body.isConfirmed) link.confirmedMs = beganMs
        if (body.tenure !== tenure) beginTenure(body.tenure, waiting)
        for (const [index, one] of inFlight.entries()) answer(one, body.attached[index])
        inFlight = []
        for (const number of body.lost) lose(number)
        if (body.ringVersion > (map?.version ?? -1)) void refresh(client)
      } catch (error) {
        inFlight = []
        for (const { attach, reject } of waiting) {
          // It may have been made: the number is given up and never used again.
          sockets.delete(attach.attachment)
          detached.push(attach.attachment)
          reject(error)
        }
        detached.push(...detach)
        for (const [number, sequence, chars] of confirm) {
          if (!confirmed.has(number)) confirmed.set(number, [sequence, chars])
        }
        log.warn({ err: error, owner: id }, 'an owner of inboxes does not answer')
        isCalling = false
        void refresh(gundeck)
        // Not at once again: the next heartbeat or attachment tries.
        return
      }
      isCalling = false
      if (attaching.length + detached.length + confirmed.size > 0) schedule()
    }

    /** The owner started anew or has forgotten us, and knows only what this call attached. */
    function beginTenure(begun: string, waiting: readonly Waiting[]): void {
      const isFirst = tenure === undefined
      tenure = begun
      const known = new Set(waiting.map(({ attach }) => attach.attachment))
      for (const { attach } of attaching) known.add(attach.attachment)
      const others: number[] = []
      for (const [number, { owner }] of sockets) {
        if (owner === link && !known.has(number)) others.push(number)
      }
      if (!isFirst || others.length > 0) {
        log.info({ sockets: others.length }, 'an owner of inboxes began anew, attaching again')
      }
      for (const number of others) lose(number)
    }

    function answer(
      { attach, resolve, reject }: Waiting,
      position: NotificationId | null | undefined,
    ): void {
      if (typeof position === 'string') {
        resolve(position)
        return
      }
      sockets.delete(attach.attachment)
      reject(new Unavailable('the inbox is not to be had at the owner that the ring names'))
      void refresh(client)
    }

    function schedule(): void {
      if (isScheduled || isCalling) return
      isScheduled = true
      setImmediate(() => {
        isScheduled = false
        if (!isCalling) void call()
      })
    }

    const link: Link = {
      id,
      client,
      confirmedMs: clock.monotonicMs(),
      beat: schedule,
      drop() {
        const dropped = [...inFlight, ...attaching.splice(0)]
        inFlight = []
        for (const { attach, reject } of dropped) {
          sockets.delete(attach.attachment)
          detached.push(attach.attachment)
          reject(new Unavailable('the inbox has another owner'))
        }
      },
      attach(attach) {
        const { promise, resolve, reject } = Promise.withResolvers<NotificationId>()
        attaching.push({ attach, resolve, reject })
        schedule()
        return promise
      },
      detach(attachment) {
        confirmed.delete(attachment)
        detached.push(attachment)
        schedule()
      },
      confirm(attachment, sequence, chars) {
        confirmed.set(attachment, [sequence, chars])
        schedule()
      },
    }
    return link
  }

  function refresh(from: Client<typeof ringApi>): Promise<void> {
    refreshing ??= readRing(from).finally(() => {
      refreshing = undefined
    })
    return refreshing
  }

  async function readRing(from: Client<typeof ringApi>): Promise<void> {
    try {
      const after = map === undefined ? {} : { after: map.version }
      const { body } = await from.getRing({ body: after })
      if (map === undefined || body.version > map.version || map.owners.length === 0) apply(body)
    } catch (error) {
      log.debug({ err: error }, 'the ring of inbox owners cannot be read')
    }
  }

  function apply(found: RingMap): void {
    map = found
    const ids = new Set(found.owners.map(({ id }) => id))
    for (const { id, address: ownerAddress } of found.owners) {
      if (!links.has(id)) links.set(id, createLink(id, ownerAt(ownerAddress)))
    }
    for (const [id, link] of links) {
      if (ids.has(id)) continue
      links.delete(id)
      link.drop()
    }
    const moved: number[] = []
    for (const [number, { owner, user }] of sockets) {
      if (owner !== undefined && linkOf(user) !== owner) moved.push(number)
    }
    if (moved.length > 0) log.info({ sockets: moved.length }, 'inboxes have other owners')
    for (const number of moved) {
      sockets.get(number)?.owner?.detach(number)
      lose(number)
    }
  }

  function linkOf(user: UserId): Link | undefined {
    const owner = map?.owners[map.shards[shardOf(user)] ?? -1]
    return owner && links.get(owner.id)
  }

  /** Undefined: of those that nobody owns, or since the ring could never be read. */
  function silenceOf(link: Link | undefined): number {
    return clock.monotonicMs() - (link?.confirmedMs ?? unownedMs ?? startedMs)
  }

  /** Since when shards have nobody, as far as this process sees. */
  let unownedMs: number | undefined = startedMs

  function noteUnowned(): void {
    const isUnowned = map === undefined || map.shards.some((owner) => owner < 0)
    if (!isUnowned) unownedMs = undefined
    else unownedMs ??= clock.monotonicMs()
  }

  async function attachAt(socket: Socket, attach: Attach): Promise<NotificationId> {
    if (linkOf(socket.user) === undefined) await refresh(gundeck)
    const link = linkOf(socket.user)
    if (link === undefined || sockets.get(attach.attachment) !== socket) {
      sockets.delete(attach.attachment)
      throw new Unavailable('the owner of the inbox is not known')
    }
    socket.owner = link
    return link.attach(attach)
  }

  return {
    find: (attachment) => sockets.get(attachment),
    attach(socket, place) {
      lastNumber += 1
      const attachment = lastNumber
      const { replaces } = place
      if (replaces !== undefined) {
        sockets.delete(replaces)
        // The new owner may be the same process under another id, so it is told as well.
        if (socket.owner !== linkOf(socket.user)) socket.owner?.detach(replaces)
      }
      sockets.set(attachment, socket)
      return { attachment, position: attachAt(socket, { ...place, attachment }) }
    },
    detach(attachment) {
      const socket = sockets.get(attachment)
      if (socket === undefined) return
      sockets.delete(attachment)
      socket.owner?.detach(attachment)
    },
    confirm(attachment, sequence, chars) {
      sockets.get(attachment)?.owner?.confirm(attachment, sequence, chars)
    },
    silenceMs: (user) => silenceOf(linkOf(user)),
    longestSilenceMs() {
      noteUnowned()
      const silences = [...links.values()].map(silenceOf)
      if (unownedMs !== undefined) silences.push(silenceOf(undefined))
      return Math.max(0, ...silences)
    },
    async run(signal) {
      try {
        for (;;) {
          const silent = [...links.values()].some((link) => silenceOf(link) > 2 * heartbeatMs)
          if (map === undefined || silent || unownedMs !== undefined) void refresh(gundeck)
          noteUnowned()
          for (const link of links.values()) link.beat()
          await clock.sleep(heartbeatMs, signal)
        }
      } catch (error) {
        if (!signal.aborted) throw error
      }
    },
  }
}
