import { z } from 'zod'
import type { SourceDefinition } from '../define.ts'
import { kafkaSource, rabbitmqSource } from './brokerSources.ts'
import { pollSource, tableQueueSource } from './databaseSources.ts'
import type { Environment } from './environment.ts'
import { type Field, isPlainObject, part, refuse } from './fields.ts'
import type { ResolvedSource } from './resolved.ts'
import { webhookSource } from './webhookSource.ts'

const makers: Readonly<Record<SourceDefinition['driver'], (environment: Environment) => Field<ResolvedSource>>> = {
  rabbitmq: rabbitmqSource,
  kafka: kafkaSource,
  tableQueue: tableQueueSource,
  poll: pollSource,
  webhook: webhookSource,
}

/** A source as its definer described it, as its driver takes it. */
export const source = (environment: Environment): Field<ResolvedSource> =>
  z.unknown().transform((value, context): ResolvedSource => {
    const described = isPlainObject(value) ? value : {}
    const make = Object.entries(makers).find(([driver]) => driver === described['driver'])?.[1]
    if (make !== undefined) return part(make(environment), described['options'], context)
    return refuse(context, 'is not a source', 'what rabbitmq(), kafka(), tableQueue(), poll() or webhook() returns')
  })
