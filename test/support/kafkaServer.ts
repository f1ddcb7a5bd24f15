import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { answers } from './answers.ts'
import { startContainer } from './containers.ts'
import { freePort } from './freePort.ts'
import { guarded } from './guarded.ts'
import { listens } from './listens.ts'
import { onceMore } from './onceMore.ts'
import { startRestartable } from './restartable.ts'
import { ServerUnavailable, type TestServer } from './serverKinds.ts'

const run = promisify(execFile)
const version = '4.1.0'
const cache = join(homedir(), '.cache', 'koksmat-controller')
const jars = join(cache, `kafka-${version}`)

/** An Apache Kafka of one's own: one node that is broker and controller. */
export const startKafkaServer = onceMore(async (secured?: Secured): Promise<TestServer> => {
  if (!existsSync(jars)) return startContainer('kafka')
  const home = guarded('kafka')
  const [port, controllerPort] = [await freePort(), await freePort()]
  const properties = join(home.folder, 'server.properties')
  const plain = propertiesOf(port, controllerPort, join(home.folder, 'data'))
  writeFileSync(properties, secured === undefined ? plain : withSecurity(plain, port, secured))
  const environment = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8' }
  const java = (options: readonly string[], ...main: string[]) =>
    home.start('java', [...options, '-cp', join(jars, '*'), ...main], environment)
  return startRestartable({
    home,
    url: `127.0.0.1:${port}`,
    prepare: () => {
      // One that begins with a hyphen is taken for an option.
      const clusterId = `A${randomBytes(16).toString('base64url').slice(1)}`
      return java([], 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties).gone
    },
    spawn: () => java(['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'], 'kafka.Kafka', properties),
    // Where nobody may ask without a password, it is up when it listens.
    answers: secured === undefined ? answers.kafka : () => listens(port),
  })
})

/** Talks TLS only, and with users only who tell a password (SASL PLAIN). */
export interface Secured {
  /** A PKCS 12 file with the key and the certificate of 127.0.0.1. */
  readonly keystore: string
  readonly keystorePassword: string
  readonly username: string
  readonly password: string
}

const withSecurity = (plain: string, port: number, secured: Secured): string => {
  const { keystore, keystorePassword, username, password } = secured
  return `${plain.replaceAll(`PLAINTEXT://127.0.0.1:${port}`, `SECURED://127.0.0.1:${port}`)}
listener.security.protocol.map=SECURED:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SECURED
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.enabled.mechanisms=PLAIN
listener.name.secured.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="${username}" password="${password}" user_${username}="${password}";
ssl.keystore.type=PKCS12
ssl.keystore.location=${keystore}
ssl.keystore.password=${keystorePassword}
ssl.truststore.type=PKCS12
ssl.truststore.location=${keystore}
ssl.truststore.password=${keystorePassword}
`
}

/** The 46 jars of Kafka, kept outside the project. Whole or not there: another run may fetch them at the same time. */
export const fetchKafka = async (say: (line: string) => void): Promise<void> => {
  if (existsSync(jars)) return
  say(`fetching Apache Kafka ${version} (43 MB) into ${jars} …`)
  mkdirSync(cache, { recursive: true })
  const draft = mkdtempSync(join(cache, 'fetching-'))
  const dependency = `<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${version}</version>`
  const project = '<groupId>koksmat</groupId><artifactId>kafka</artifactId><version>1</version>'
  writeFileSync(
    join(draft, 'pom.xml'),
    `<project><modelVersion>4.0.0</modelVersion>${project}<dependencies><dependency>${dependency}</dependency></dependencies></project>\n`,
  )
  try {
    const output = ['-DoutputDirectory=lib', '-DincludeScope=runtime']
    await run('mvn', ['-q', '-B', '-f', join(draft, 'pom.xml'), 'dependency:copy-dependencies', ...output])
    if (!existsSync(jars)) renameSync(join(draft, 'lib'), jars)
  } catch (thrown) {
    throw new ServerUnavailable(
      `mvn could not fetch Apache Kafka: ${String(thrown).trim().split('\n').slice(-3).join(' ')}`,
    )
  } finally {
    rmSync(draft, { recursive: true, force: true })
  }
}

const propertiesOf = (port: number, controllerPort: number, data: string): string =>
  [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
    `listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names=CONTROLLER',
    `log.dirs=${data}`,
    'offsets.topic.replication.factor=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    'group.initial.rebalance.delay.ms=0',
    // A killed broker may not come back before its session has ended.
    'broker.session.timeout.ms=3000',
    'broker.heartbeat.interval.ms=500',
    '',
  ].join('\n')
