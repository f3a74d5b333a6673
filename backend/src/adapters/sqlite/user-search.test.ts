import { searchContract } from '../../ports/search.contract.ts'
import { openSqliteSearch } from './user-search.ts'

searchContract(() => openSqliteSearch({ file: ':memory:' }))
