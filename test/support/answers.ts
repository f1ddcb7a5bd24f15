import { randomBytes } from 'node:crypto'
import { Admin } from '@platformatic/kafka'
import { connect } from 'amqplib'
import { Client } from 'pg'
import type { ServerKind } from './serverKinds.ts'

/** Whether a server does what it is for, asked with the client that the tests use. Throws while it does not. */
export const answers: Readonly<Record<ServerKind, (url: string) => Promise<true>>> = {
  postgres: async (url) => {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.query('select 1')
    } finally {
      await client.end()
    }
    return true
  },
  rabbitmq: async (url) => {
    const connection = await connect(url, { timeout: 2_000 })
    await connection.close()
    return true
  },
  kafka: async (url) => {
    const clientId = `ready-${randomBytes(4).toString('hex')}`
    const admin = new Admin({ clientId, bootstrapBrokers: url.split(','), retries: 0, connectTimeout: 2_000 })
    try {
      await admin.listTopics()
    } finally {
      await admin.close()
    }
    return true
  },
}
