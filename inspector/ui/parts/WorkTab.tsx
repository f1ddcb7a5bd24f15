import type { JSX } from 'preact'
import type { JobView, LockView } from '../../protocol/controller.ts'
import { age, count, plural } from '../format.ts'
import { search, tab } from '../state/address.ts'
import { command } from '../state/commands.ts'
import { knows, mayOperate, status } from '../state/store.ts'

/** What runs and what waits, and the locks: who holds them and who waits for them. */
export const WorkTab = (): JSX.Element => {
  const current = status.value
  if (current === undefined) return <p class="empty">There is no controller around these actors.</p>
  const { jobs, locks } = current
  const list = jobs.list ?? []
  const names = Object.keys(locks)
  const more = jobs.running + jobs.waiting + jobs.long.length - list.length
  return (
    <div class="scroll two" tabIndex={0} role="region" aria-label="Jobs and locks">
      <section>
        <h3>
          Jobs{' '}
          <span class="faint">
            {count(jobs.running)} running · {count(jobs.waiting)} waiting
            {jobs.long.length > 0 && ` · ${count(jobs.long.length)} long`}
          </span>
        </h3>
        {list.length === 0 ? (
          <p class="faint">Nothing runs.</p>
        ) : (
          <ul class="jobs">
            {list.map((job) => (
              <Job key={`${job.source} ${job.id}`} job={job} />
            ))}
          </ul>
        )}
        {more > 0 && <p class="faint">and {count(more)} younger ones</p>}
      </section>
      <section>
        <h3>Locks</h3>
        {names.length === 0 ? (
          <p class="faint">No handler takes a lock.</p>
        ) : (
          <ul class="jobs">
            {names.map((name) => (
              <Lock key={name} name={name} lock={locks[name]} waiters={list.filter((job) => isWaiter(job, name))} />
            ))}
          </ul>
        )}
      </section>
    </div>
  )
}

const isWaiter = (job: JobView, lock: string): boolean => job.lock === lock && job.state === 'waiting'

const show = (id: string): void => {
  search.value = id
  tab.value = 'events'
}

const Job = ({ job }: { job: JobView }): JSX.Element => {
  const progress = progressOf(job.progress)
  return (
    <li class={`job ${job.state}`} data-job={job.id}>
      <div class="row">
        <span class="dot" />
        <button type="button" class="plain name" onClick={() => show(job.id)}>
          {job.type}
        </button>
        <code>{job.id}</code>
        <span class="grow" />
        <span class="numbers">{age(job.runningMs ?? job.ageMs)}</span>
      </div>
      <div class="row faint">
        <span>{job.source}</span>
        {job.state === 'waiting' && <span>waits{job.lock === undefined ? '' : ` for ${job.lock}`}</span>}
        {job.lane !== undefined && <span>lane {job.lane}</span>}
        {job.state === 'running' && job.lock !== undefined && <span>holds {job.lock}</span>}
        <span class="grow" />
        {progress !== undefined && progress.share !== undefined && (
          <progress max={1} value={progress.share} aria-label={`Progress of ${job.id}`} />
        )}
        {progress !== undefined && <span class="numbers">{progress.text}</span>}
      </div>
    </li>
  )
}

/** A share of one, a percentage, `{ done, total }`, or whatever else a handler reports. */
const progressOf = (value: unknown): { share?: number; text: string } | undefined => {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number') {
    const share = value > 1 ? value / 100 : value
    return { share: Math.min(1, share), text: `${Math.round(share * 100)} %` }
  }
  if (typeof value !== 'object') return { text: String(value) }
  const { done, total } = value as { done?: unknown; total?: unknown }
  if (typeof done === 'number' && typeof total === 'number' && total > 0) {
    return { share: Math.min(1, done / total), text: `${count(done)} of ${count(total)}` }
  }
  return { text: JSON.stringify(value).slice(0, 80) }
}

const Lock = (props: { name: string; lock: LockView | undefined; waiters: readonly JobView[] }): JSX.Element | null => {
  const { name, lock, waiters } = props
  if (lock === undefined) return null
  const { holder, waiting, longestWaitMs } = lock
  return (
    <li class={`job ${holder === undefined ? '' : 'running'}`} data-lock={name}>
      <div class="row">
        <span class="dot" />
        <b>{name}</b>
        <span class="grow" />
        <span>{holder === undefined ? 'free' : `held for ${age(holder.heldMs)}`}</span>
      </div>
      {holder !== undefined && (
        <div class="row faint">
          {holder.id !== '' && (
            <button type="button" class="plain" onClick={() => show(holder.id)}>
              {holder.type} <code>{holder.id}</code>
            </button>
          )}
          <span>on {holder.replica}</span>
        </div>
      )}
      {waiting > 0 && (
        <p>
          {plural(waiting, 'waits', 'wait')}, the first for {age(longestWaitMs)}
        </p>
      )}
      {waiters.length > 0 && (
        <ul>
          {waiters.slice(0, 20).map(({ id, type, source, ageMs }) => (
            <li key={id} class="row">
              <span>{type}</span> <code>{id}</code>
              <span class="grow" />
              <span class="faint numbers">{age(ageMs)}</span>
              {knows('releaseWaiter') && (
                <button
                  type="button"
                  class="small"
                  disabled={!mayOperate.value}
                  title="Gives the event back; it comes again later"
                  onClick={() =>
                    void command({ name: 'releaseWaiter', lock: name, source, event: id }, `${id} was given back`)
                  }
                >
                  Release
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </li>
  )
}
