/** Who may log in where: passwords and certificates as files, made once per directory. */
import { randomBytes } from 'node:crypto'
import { access, chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyPair, TlsFiles } from './engine.ts'
import { runTool } from './fetch/tool.ts'
import type { Plan } from './plan.ts'

export interface Credentials {
  /** Name of the file below `credentials/` to what stands in it. */
  credentials: Record<string, string>
  tls: TlsFiles | undefined
}

/** What everybody knows, for engines that listen on loopback and hold nothing of worth. */
const known = { 'minio-access-key': 'tricord', 'minio-secret-key': 'tricord-on-loopback' }
const names = { 'cassandra-user': 'tricord', 'minio-access-key': 'tricord' }
const secrets = ['cassandra-password', 'redis-password', 'minio-secret-key'] as const

const credentialsFolder = 'credentials'
const tlsFolder = 'tls'

function keyPair(folder: string, name: string): KeyPair {
  return {
    certificate: join(folder, `${name}.pem`),
    key: join(folder, `${name}.key`),
    both: join(folder, `${name}.both.pem`),
  }
}

function tlsFiles(directory: string, plan: Plan): TlsFiles {
  const folder = join(directory, tlsFolder)
  const indices = Array.from({ length: plan.nodes }, (_, at) => at + 1)
  return {
    authority: join(folder, 'authority.pem'),
    servers: Object.fromEntries(
      indices.map((index) => [index, keyPair(folder, `server${String(index)}`)]),
    ),
    client: keyPair(folder, 'client'),
  }
}

/** Passwords are empty before `makeCredentials` has run. */
export async function readCredentials(directory: string, plan: Plan): Promise<Credentials> {
  if (!plan.isSecure) return { credentials: { ...known }, tls: undefined }
  const credentials: Record<string, string> = { ...names }
  for (const name of secrets) {
    const file = join(directory, credentialsFolder, name)
    credentials[name] = (await readFile(file, 'utf8').catch(() => '')).trim()
  }
  return { credentials, tls: tlsFiles(directory, plan) }
}

/** Makes what is missing; what is there stays. */
export async function makeCredentials(directory: string, plan: Plan): Promise<void> {
  const folder = join(directory, credentialsFolder)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const wanted: Record<string, string> = plan.isSecure ? { ...names } : { ...known }
  if (plan.isSecure) {
    for (const name of secrets) wanted[name] = randomBytes(24).toString('base64url')
  }
  for (const [name, text] of Object.entries(wanted)) {
    const file = join(folder, name)
    if (await isThere(file)) continue
    // Whole or not at all: half a password would be kept for good.
    await writeFile(`${file}.unfinished`, text, { mode: 0o600 })
    await rename(`${file}.unfinished`, file)
  }
  if (plan.isSecure && !(await isThere(join(directory, tlsFolder)))) {
    await makeCertificates(directory, plan)
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

const missing = 'install openssl (Debian: apt-get install openssl)'
const lifetimeDays = '3650'

/** An authority, a certificate for each node and one for clients, in a folder that appears whole. */
async function makeCertificates(directory: string, plan: Plan): Promise<void> {
  const folder = join(directory, `${tlsFolder}.unfinished`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await makeCertificate(folder, 'authority', 'Tricord test authority', [
    'keyUsage=critical,keyCertSign,cRLSign',
  ])
  for (let index = 1; index <= plan.nodes; index += 1) {
    const name = `server${String(index)}`
    await makeCertificate(folder, name, name, [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth,clientAuth',
      // Members of etcd call one another from 127.0.0.1, and look whether the certificate fits that.
      `subjectAltName=IP:${plan.network}.${String(index)},IP:127.0.0.1`,
    ])
  }
  await makeCertificate(folder, 'client', 'client', [
    'basicConstraints=critical,CA:FALSE',
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=clientAuth',
  ])
  await rename(folder, join(directory, tlsFolder))
}

async function makeCertificate(
  folder: string,
  file: string,
  commonName: string,
  extensions: readonly string[],
): Promise<void> {
  const signer = ['-CA', 'authority.pem', '-CAkey', 'authority.key']
  const { certificate, key, both } = keyPair(folder, file)
  await runTool(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-noenc',
      '-days',
      lifetimeDays,
      '-subj',
      `/CN=${commonName}`,
      ...extensions.flatMap((one) => ['-addext', one]),
      ...(file === 'authority' ? [] : signer),
      '-keyout',
      key,
      '-out',
      certificate,
    ],
    { cwd: folder, missing },
  )
  await chmod(key, 0o600)
  const text = (await readFile(key, 'utf8')) + (await readFile(certificate, 'utf8'))
  await writeFile(both, text, { mode: 0o600 })
}
