import { indexStep } from '../../adapters/opensearch/index-step.ts'
import type { JobCommand } from './command.ts'

export const elasticsearchIndexCreate: JobCommand = {
  name: 'elasticsearch-index-create',
  description: 'make the index of users, or move to one of a newer shape while the server goes on',
  async prepare({ config: { search }, platform }) {
    return {
      name: 'elasticsearch-index-create',
      steps: search.kind === 'opensearch' ? [indexStep(search, () => platform.clock.nowMs())] : [],
    }
  },
}
