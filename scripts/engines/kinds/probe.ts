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
