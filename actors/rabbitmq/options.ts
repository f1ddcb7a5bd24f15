/** What the RabbitMQ driver needs to know, every default in place. */
export interface RabbitmqOptions {
  /** `amqp://` or `amqps://`, with user, password and vhost; a `heartbeat` in its query wins over the option. */
  readonly url: string
  readonly queue: string
  /** Absent: the queue must be there, and is not touched. */
  readonly declare?: {
    readonly type: 'quorum' | 'classic'
    readonly durable: true
    readonly exchange?: {
      readonly name: string
      readonly type: 'direct' | 'topic' | 'fanout' | 'headers'
      readonly durable: boolean
    }
    /** Routing keys that bring messages from the exchange. */
    readonly bindings?: readonly string[]
    readonly deadLetterExchange?: string
    readonly arguments?: Readonly<Record<string, unknown>>
  }
  /**
   * The type of events that carry none of their own (CloudEvents): the name of a header, or a function of the message.
   * Default, and without the header: the `type` property of the message, else its routing key.
   */
  readonly type?: { readonly header: string } | ((message: RabbitmqMessageView) => string)
  /** Events that failed for good go to the queue's dead-letter exchange too, instead of being acknowledged. */
  readonly deadLetter: boolean
  readonly heartbeatSeconds: number
  readonly connectTimeoutMs: number
  /** A larger payload is a defect: the event is parked unread. */
  readonly maxEventBytes: number
}

/** A message as the `type` option sees it. */
export interface RabbitmqMessageView {
  readonly routingKey: string
  readonly headers: Readonly<Record<string, unknown>>
  /** `messageId`, `correlationId`, `appId` … as AMQP names them; those not sent are `undefined`. */
  readonly properties: Readonly<Record<string, unknown>>
}
