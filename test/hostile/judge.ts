import fc from 'fast-check'
import type { EndpointDeclaration } from '../../backend/src/contract/endpoint.ts'
import { ErrorBody, kitErrors } from '../../backend/src/contract/error.ts'
import type { Answer, HostileRequest, Sender } from './http.ts'
import { hostileRequest, type Aim } from './requests.ts'

/** What would tell a stranger how the server is made, or where. */
const internals =
  /\bat (async )?[\w.<>[\] ]*\(?(file:|node:|\/)|node_modules|\.ts:\d|sqlite|SQLITE_|ENOENT|ECONN|TypeError|RangeError|SyntaxError|ZodError|argon2|\/(home|tmp|var|work|usr)\//

const noTypeNeeded = new Set(['HEAD'])
const longestAnswerMs = 15_000

/** What is wrong with an answer, whatever the request was; empty when nothing is. */
export function faultsOf(
  answer: Answer,
  method: string,
  declaration?: EndpointDeclaration,
): string[] {
  const faults: string[] = []
  const { status, headers, text } = answer
  if (status === 500) faults.push('500')
  if (status === 503) faults.push('503, although nothing is down')
  if (answer.tookMs > longestAnswerMs) faults.push(`took ${String(Math.round(answer.tookMs))} ms`)
  if (headers['x-powered-by'] !== undefined || headers['server'] !== undefined) {
    faults.push('names its software')
  }
  if (headers['x-evil'] !== undefined) faults.push('a header was smuggled into the reply')
  if (status >= 400 && internals.test(text)) faults.push(`tells internals: ${text.slice(0, 300)}`)
  if (isDeclaredReply(status, declaration)) return faults
  if (status < 400) {
    faults.push(`${String(status)} is not declared`)
    return faults
  }
  if (noTypeNeeded.has(method)) return faults
  if (!String(headers['content-type']).startsWith('application/json')) {
    return [...faults, `an error of type ${String(headers['content-type'])}`]
  }
  const parsed = ErrorBody.safeParse(JSON.parse(answer.bytes.toString('utf8')))
  if (!parsed.success) return [...faults, `no error body: ${text.slice(0, 300)}`]
  const { code, label } = parsed.data
  if (code !== status) faults.push(`code ${String(code)} in a reply ${String(status)}`)
  const known = [...Object.values(kitErrors), ...(declaration?.errors ?? [])]
  if (!known.some((error) => error.status === status && error.label === label)) {
    faults.push(`${String(status)} ${label} is not declared`)
  }
  return faults
}

function isDeclaredReply(status: number, declaration: EndpointDeclaration | undefined): boolean {
  if (declaration === undefined || declaration.responses[status] === undefined) return false
  // 404 and 412 may be replies and errors.
  return status < 400 || !declaration.errors.some((error) => error.status === status)
}

/** Holds when the endpoint answers every hostile request as it declares. */
export function answersAsDeclared(aim: Aim, sender: Sender): fc.IAsyncProperty<[HostileRequest]> {
  return fc.asyncProperty(hostileRequest(aim), async (request) => {
    const answer = await sender.send(request)
    const faults = faultsOf(answer, aim.declaration.method, aim.declaration)
    if (faults.length > 0) throw new Error(faults.join('; '))
  })
}
