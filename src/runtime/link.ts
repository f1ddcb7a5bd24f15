import { fromCallback } from 'xstate'
import type { Driver, DriverHost, Link, Log } from '../../machines/driver.ts'
import { toControllerError } from '../../machines/errors.ts'
import type { LinkCommand, LinkFact } from '../../machines/protocol.ts'
import type { LinkInput } from '../../machines/source.ts'

/**
 * Stands between the source machine and its driver: commands in, facts out. One driver link at a time; what an earlier
 * one still says, or delivers, is dropped, and one that connects too late is disconnected at once. Nothing a driver
 * throws gets past here.
 */
export interface LinkParts {
  readonly driver: Driver
  readonly log: Log
  readonly gauge: DriverHost['gauge']
  readonly count: DriverHost['count']
}

export const linkLogic = (partsOf: (source: string) => LinkParts) =>
  fromCallback<LinkCommand, LinkInput>(({ sendBack, receive, input }) => {
    const { driver, log, gauge, count } = partsOf(input.name)
    let epoch = 0
    let link: Link | undefined
    let { credit } = input
    const tell = (fact: LinkFact): void => sendBack(fact)

    const lose = (of: number, thrown: unknown): void => {
      if (of !== epoch) return
      epoch++
      link = undefined
      tell({ type: 'link.lost', error: toControllerError(thrown, 'SOURCE_CONNECTION_LOST'), jitter: Math.random() })
    }

    const connect = async (): Promise<void> => {
      const mine = ++epoch
      try {
        const connected = await driver.connect({
          source: input.name,
          get credit() {
            return credit
          },
          log,
          gauge,
          count,
          deliver: (deliveries) => {
            if (mine === epoch) tell({ type: 'link.delivered', deliveries })
          },
          lost: (error) => lose(mine, error),
        })
        if (mine !== epoch) {
          await connected.disconnect()
          return
        }
        link = connected
        tell({ type: 'link.connected' })
      } catch (thrown) {
        if (mine !== epoch) {
          log.warn({ err: thrown }, 'an abandoned connection ended with an error')
          return
        }
        epoch++
        tell({ type: 'link.failed', error: toControllerError(thrown, 'SOURCE_CONNECT_FAILED'), jitter: Math.random() })
      }
    }

    const cancel = async (): Promise<void> => {
      const mine = epoch
      if (link === undefined) epoch++
      try {
        await link?.cancel()
        tell({ type: 'link.cancelled' })
      } catch (thrown) {
        lose(mine, thrown)
        tell({ type: 'link.cancelled' })
      }
    }

    const disconnect = async (): Promise<void> => {
      const leaving = link
      link = undefined
      epoch++
      try {
        await leaving?.disconnect()
      } catch (thrown) {
        log.warn({ err: thrown }, 'source disconnected with an error')
      }
      tell({ type: 'link.disconnected' })
    }

    receive((command) => {
      const mine = epoch
      try {
        switch (command.type) {
          case 'link.connect':
            void connect()
            break
          case 'link.consume':
            link?.consume().catch((thrown: unknown) => lose(mine, thrown))
            break
          case 'link.settle':
            link?.settle(command.settlements)
            break
          case 'link.pause':
            link?.pause()
            break
          case 'link.resume':
            link?.resume()
            break
          case 'link.setCredit':
            credit = command.credit
            link?.creditChanged()
            break
          case 'link.cancel':
            void cancel()
            break
          case 'link.disconnect':
            void disconnect()
            break
        }
      } catch (thrown) {
        lose(mine, thrown)
      }
    })
  })
