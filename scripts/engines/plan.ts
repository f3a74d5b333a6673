/** What a directory of engines was set up as. Written at the first start, the same ever after. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { checkNetwork } from './layout.ts'

const Plan = z.strictObject({
  network: z.string(),
  nodes: z.union([z.literal(1), z.literal(3)]),
  isSecure: z.boolean(),
})
export type Plan = z.infer<typeof Plan>

function planFile(directory: string): string {
  return join(directory, 'plan.json')
}

export function parsePlan(text: string, file: string): Plan {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`${file} is not JSON; "reset" begins anew`, { cause: error })
  }
  const result = Plan.safeParse(value)
  if (!result.success) {
    throw new Error(`${file} is not well-formed: ${z.prettifyError(result.error)}`)
  }
  checkNetwork(result.data.network)
  return result.data
}

export async function readPlan(directory: string): Promise<Plan | undefined> {
  const file = planFile(directory)
  try {
    return parsePlan(await readFile(file, 'utf8'), file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** The plan to go by. Throws if the directory was set up as something else. */
export function settlePlan(
  found: Plan | undefined,
  wanted: Partial<Plan>,
  directory: string,
): Plan {
  const plan: Plan = {
    network: wanted.network ?? found?.network ?? '127.77.0',
    nodes: wanted.nodes ?? found?.nodes ?? 1,
    isSecure: wanted.isSecure ?? found?.isSecure ?? false,
  }
  checkNetwork(plan.network)
  if (found === undefined) return plan
  const differences = (['network', 'nodes', 'isSecure'] as const)
    .filter((key) => found[key] !== plan[key])
    .map((key) => `${key} ${String(found[key])}, not ${String(plan[key])}`)
  if (differences.length > 0) {
    throw new Error(
      `${directory} was set up with ${differences.join(' and ')}: ` +
        '"reset" deletes it, or choose another --network',
    )
  }
  return found
}

export async function writePlan(directory: string, plan: Plan): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 })
  const file = planFile(directory)
  await writeFile(`${file}.new`, `${JSON.stringify(plan, null, 2)}\n`)
  await rename(`${file}.new`, file)
}
