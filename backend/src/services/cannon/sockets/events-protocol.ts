import { EventsReply } from '../../../contract/events/notification.ts'
import type { ClientId, NotificationId } from '../../../contract/ids.ts'
import { eventFrame, missedFrame, synchronizationFrame } from '../rules/frames.ts'
import { createUnacknowledged } from '../rules/unacknowledged.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import type { LiveSocket, SocketProtocol } from './live-socket.ts'

/** Deliveries that a client may have without acknowledging any. */
const largestUnacknowledged = 1000

export interface EventsQueue {
  readonly client: ClientId
  readonly cursor: NotificationId
  readonly acknowledged: readonly NotificationId[]
  readonly hasMissed: boolean
}

/**
 * `/events`: each notification has a delivery tag and comes again on the next socket until it is
 * acknowledged. One protocol object for each socket.
 *
 * @param queue Absent for a socket without client, whose acknowledgements change nothing.
 */
export function eventsProtocol(options: {
  queue: EventsQueue | undefined
  syncMarker: string | undefined
  acknowledgements: Acknowledgements
}): SocketProtocol {
  const { queue, acknowledgements } = options
  const unacknowledged = createUnacknowledged()
  /** Acknowledged on an earlier socket, out of order. */
  const seen = new Set(queue?.acknowledged)
  let { syncMarker } = options
  let isSynchronising = queue?.hasMissed ?? false

  function acknowledged(socket: LiveSocket, tag: number, isMultiple: boolean): void {
    if (!unacknowledged.acknowledge(tag, isMultiple)) {
      socket.close(1003, 'unexpected-ack')
      return
    }
    if (queue !== undefined) {
      const { cursor, beyond } = unacknowledged.progress()
      acknowledgements.add({
        user: socket.user,
        client: queue.client,
        cursor: cursor ?? queue.cursor,
        acknowledged: beyond,
      })
    }
    socket.wake()
  }

  async function synchronised(socket: LiveSocket, { client, cursor }: EventsQueue): Promise<void> {
    isSynchronising = false
    const { user } = socket
    try {
      await acknowledgements.addNow({
        user,
        client,
        cursor,
        acknowledged: [],
        hasSynchronised: true,
      })
      socket.start()
    } catch {
      socket.close(1001, 'try again')
    }
  }

  return {
    get hasRoom() {
      return unacknowledged.size < largestUnacknowledged
    },
    frameOf({ id, payload, isTransient }) {
      if (seen.delete(id)) return undefined
      // A transient one is not in the store, so it cannot be what a cursor stands on.
      return eventFrame(id, payload, unacknowledged.add(isTransient ? undefined : id))
    },
    onOpen(socket) {
      if (isSynchronising) socket.sendFrame(missedFrame)
      return !isSynchronising
    },
    onCaughtUp(socket) {
      if (syncMarker === undefined) return
      socket.sendFrame(synchronizationFrame(syncMarker, unacknowledged.add(undefined)))
      syncMarker = undefined
    },
    onMessage(socket, bytes) {
      const reply = parseReply(bytes)
      if (reply === undefined) {
        socket.close(1003, 'failed-to-parse')
      } else if (reply.type === 'ack') {
        if (isSynchronising) socket.close(1003, 'unexpected-ack')
        else acknowledged(socket, reply.data.delivery_tag, reply.data.multiple)
      } else if (isSynchronising && queue !== undefined) {
        void synchronised(socket, queue)
      } else {
        socket.close(1003, 'unexpected-ack')
      }
    },
    // Its next socket may be at another cannon, which would send what waits here once more.
    onGoodbye: () => acknowledgements.flush(),
    onClosed: () => undefined,
  }
}

function parseReply(bytes: Buffer): EventsReply | undefined {
  try {
    return EventsReply.safeParse(JSON.parse(bytes.toString())).data
  } catch {
    return undefined
  }
}
