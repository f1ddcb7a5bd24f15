import { signal } from '@preact/signals'
import type { JSX } from 'preact'
import { useEffect } from 'preact/hooks'

const stored = 'koksmat.split'
const least = 12
const most = 85

/** How much of the middle the statechart takes, in percent. */
const share = signal(Number(localStorage.getItem(stored)) || 56)

const move = (percent: number): void => {
  share.value = Math.round(Math.min(most, Math.max(least, percent)))
  localStorage.setItem(stored, String(share.value))
}

export const Splitter = (): JSX.Element => {
  const percent = share.value
  useEffect(() => document.documentElement.style.setProperty('--split', `${percent}%`), [percent])
  return (
    <div
      class="splitter"
      role="separator"
      aria-orientation="horizontal"
      aria-label="Height of the statechart"
      aria-valuenow={percent}
      aria-valuemin={least}
      aria-valuemax={most}
      tabIndex={0}
      onKeyDown={({ key }) => {
        if (key === 'ArrowUp') move(percent - 4)
        if (key === 'ArrowDown') move(percent + 4)
      }}
      onPointerDown={({ currentTarget: handle, pointerId }) => {
        const middle = handle.parentElement?.getBoundingClientRect()
        handle.setPointerCapture(pointerId)
        handle.onpointermove = ({ clientY }) => {
          if (middle !== undefined) move(((clientY - middle.top) / middle.height) * 100)
        }
        handle.onpointerup = () => {
          handle.onpointermove = null
        }
      }}
    />
  )
}
