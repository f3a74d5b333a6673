import {
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdLeaseInvalidError,
  EtcdPermissionDeniedError,
  GRPCInvalidArgumentError,
  type IOptions,
} from 'etcd3'
import type { Outage } from '../../platform/dependencies.ts'
import { readOptionalSecret, readTls, type TlsFiles } from '../../platform/secret-files.ts'

export interface EtcdConnection {
  /** `http://host:port`, or `https://` with `tls`. */
  readonly hosts: readonly string[]
  readonly tls?: TlsFiles | undefined
  readonly user?: string | undefined
  readonly passwordFile?: string | undefined
}

/** The members of one cluster, asked one after another until one answers. */
export interface EtcdCluster {
  /**
   * Calls one member, and the others when it does not answer; what is asked must bear being done
   * twice. The member that answered is asked first from then on.
   */
  call<T>(
    work: (member: Etcd3, limit: { deadline: number }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T>
  /** The member that answered last. */
  readonly member: Etcd3
  /** Turns to the next one. */
  turnAwayFrom(member: Etcd3): void
  close(): void
}

/** A member that is frozen or cut off is left after so long. */
const callMs = 1000
/** The rule of the library to let others decide: we choose members ourselves. */
const plainly = {
  onSuccess: () => ({ dispose: () => undefined }),
  onFailure: () => ({ dispose: () => undefined }),
  execute: async (work: (context: { signal: AbortSignal }) => unknown, signal?: AbortSignal) =>
    work({ signal: signal ?? new AbortController().signal }),
} as unknown as NonNullable<NonNullable<IOptions['faultHandling']>['global']>

/**
 * The `etcd3` package has had no release since 2023. It serves as what it is here: typed calls of the v3
 * protocol over `@grpc/grpc-js`, which is kept. Its leases, watchers, locks and elections wait
 * without limit on a member that is frozen; those are done here, on single calls with deadlines.
 */
export async function connectEtcd(options: EtcdConnection): Promise<EtcdCluster> {
  const [tls, password] = await Promise.all([
    readTls(options.tls),
    readOptionalSecret(options.passwordFile),
  ])
  const members = options.hosts.map(
    (host) =>
      new Etcd3({
        hosts: host,
        ...(tls === undefined
          ? {}
          : {
              credentials: {
                rootCertificate: tls.ca ?? Buffer.alloc(0),
                ...(tls.key === undefined ? {} : { privateKey: tls.key }),
                ...(tls.cert === undefined ? {} : { certChain: tls.cert }),
              },
            }),
        ...(options.user === undefined
          ? {}
          : {
              auth: {
                username: options.user,
                password: password ?? '',
                callOptions: () => ({ deadline: Date.now() + callMs }),
              },
            }),
        grpcOptions: {
          // A stream to a member that is frozen ends after 13 s; members allow a ping each 5 s.
          'grpc.keepalive_time_ms': 10_000,
          'grpc.keepalive_timeout_ms': 3000,
          'grpc.initial_reconnect_backoff_ms': 200,
          'grpc.min_reconnect_backoff_ms': 200,
          'grpc.max_reconnect_backoff_ms': 1000,
        },
        faultHandling: { host: () => plainly, global: plainly },
      }),
  )
  // Processes start at different members.
  let first = Math.floor(Math.random() * members.length)
  const memberAt = (index: number): Etcd3 => {
    const member = members[index % members.length]
    if (member === undefined) throw new TypeError('an etcd cluster has at least one member')
    return member
  }
  return {
    async call(work, signal) {
      for (let tried = 0; ; tried += 1) {
        const index = first
        try {
          return await work(memberAt(index), { deadline: Date.now() + callMs })
        } catch (error) {
          if (etcdOutage(error) === undefined) throw error
          if (first === index) first = (index + 1) % members.length
          if (tried + 1 >= members.length || signal?.aborted === true) throw error
        }
      }
    },
    get member() {
      return memberAt(first)
    },
    turnAwayFrom(member) {
      if (memberAt(first) === member) first = (first + 1) % members.length
    },
    close() {
      for (const member of members) member.close()
    },
  }
}

/**
 * Everything but an answer about a lease is an outage to us, wrong credentials included: nothing
 * we ask can be refused otherwise.
 */
export function etcdOutage(error: unknown): Outage {
  if (error instanceof EtcdLeaseInvalidError || error instanceof GRPCInvalidArgumentError) {
    return undefined
  }
  if (
    error instanceof EtcdAuthenticationFailedError ||
    error instanceof EtcdPermissionDeniedError
  ) {
    return 'refused'
  }
  if (error instanceof TypeError || error instanceof RangeError) return undefined
  if (error instanceof Error && /No connection established|ECONNREFUSED/.test(error.message)) {
    return 'refused'
  }
  return 'lost'
}
