/** Small questions to a node. An answer that does not come is a no. */

/** Whether the address answers 200. */
export async function isOk(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await fetch(url, { signal })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

/** The JSON that the address answers with 200, or `undefined`. */
export async function ask(url: string, signal: AbortSignal): Promise<unknown> {
  try {
    const response = await fetch(url, { signal })
    if (response.ok) return await response.json()
    await response.body?.cancel()
  } catch {
    // No answer, or one that is not JSON.
  }
  return undefined
}
