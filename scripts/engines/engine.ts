/** What the code that starts, watches and stops engines knows of each of them. */
import type { Command } from './process.ts'

export const engineNames = [
  'cassandra',
  'opensearch',
  'minio',
  'redis',
  'sentinel',
  'etcd',
] as const
export type EngineName = (typeof engineNames)[number]

export interface EngineNode {
  /** 1, 2, 3. */
  index: number
  /** Loopback address of the node: the same for every engine, as on a host. */
  address: string
  /** Folder of this engine on this node. */
  directory: string
}

/** One engine's nodes and what they need. */
export interface Cluster {
  name: EngineName
  nodes: readonly EngineNode[]
  /** Part of the catalogue to the folder that holds it. */
  parts: Readonly<Record<string, string>>
  credentials: Readonly<Record<string, string>>
  tls: TlsFiles | undefined
}

/** Paths of PEM files. */
export interface KeyPair {
  certificate: string
  key: string
  /** Both in one file. */
  both: string
}

export interface TlsFiles {
  authority: string
  /** By node index; also valid as a client, since nodes call one another. */
  servers: Readonly<Record<number, KeyPair>>
  client: KeyPair
}

export interface NodeFile {
  /** Relative to the node's folder. */
  path: string
  /** What stands in it, or the file that it is a copy of. */
  content: string | { copyOf: string }
  /** The engine writes it too: it is made once and then left alone. */
  once?: boolean
  mode?: number
}

export interface Engine {
  /** Parts of the catalogue. */
  parts: readonly string[]
  /** One node after another, or all of them together. */
  order: 'together' | 'in turn'
  /** Refuses to run as root, and is run as somebody else then. */
  isUnprivileged?: boolean
  /** Folders that must be there, relative to the node's. */
  folders: readonly string[]
  files: (cluster: Cluster, node: EngineNode) => NodeFile[]
  command: (cluster: Cluster, node: EngineNode) => Command
  /** A second process between clients and the node; it lives and dies with the node. */
  front?: (cluster: Cluster, node: EngineNode) => Command | undefined
  /** HOST:PORT where clients connect. */
  clientAddress: (cluster: Cluster, node: EngineNode) => string
  /** Whether the node answers clients. */
  isHealthy: (cluster: Cluster, node: EngineNode, signal: AbortSignal) => Promise<boolean>
  /** Whether the nodes have found one another and can lose one (of three). */
  isWhole: (cluster: Cluster, signal: AbortSignal) => Promise<boolean>
  /** Once, after the first whole start: accounts and the like. Must be repeatable. */
  prepare?: (cluster: Cluster) => Promise<void>
  /** How long a clean end may take. */
  stopLimitMs: number
}

export function partFolder(cluster: Cluster, part: string): string {
  const folder = cluster.parts[part]
  if (folder === undefined) throw new Error(`${cluster.name} needs the part "${part}"`)
  return folder
}

/** The key pair of a node, if the engines are secure. */
export function serverKeys(cluster: Cluster, node: EngineNode): KeyPair | undefined {
  return cluster.tls?.servers[node.index]
}

export function firstNode(cluster: Cluster): EngineNode {
  const [node] = cluster.nodes
  if (node === undefined) throw new Error(`${cluster.name} has no nodes`)
  return node
}
