import { type TcpProxy, tcpProxy } from '../support/tcpProxy.ts'

/** The address of a database by way of a proxy that a test can cut, silence or slow down. */
export const proxied = async (url: string): Promise<{ readonly url: string; readonly proxy: TcpProxy }> => {
  const target = new URL(url)
  const proxy = await tcpProxy({ host: target.hostname, port: Number(target.port) })
  target.host = `127.0.0.1:${proxy.port}`
  return { url: target.href, proxy }
}
