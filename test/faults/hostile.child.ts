import { setTimeout as sleep } from 'node:timers/promises'
import { refusedWith } from '../inspector/support.ts'

/** Clients of the inspector that are refused one after the other, so many a second, until this process is killed. */
const [page = '', token = '', perSecond = ''] = process.argv.slice(2)
const authorization = `Bearer ${token}`
const attempts = [
  () => refusedWith(page),
  () => refusedWith(page, { headers: { authorization: `${authorization}x` } }),
  () => refusedWith(page, { headers: { authorization, host: 'evil.example' } }),
  () => refusedWith(page, { headers: { authorization }, origin: 'http://evil.example' }),
  () => refusedWith(page, {}, 'nothing'),
]

for (let n = 0; ; n++) {
  void attempts[n % attempts.length]?.().then((status) => process.stdout.write(`refused ${status}\n`))
  await sleep(1_000 / Number(perSecond))
}
