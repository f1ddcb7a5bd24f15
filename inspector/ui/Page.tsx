import type { JSX } from 'preact'
import { Dialogs } from './parts/Dialogs.tsx'
import { DrainProgress } from './parts/DrainProgress.tsx'
import { Header } from './parts/Header.tsx'
import { Locked } from './parts/Locked.tsx'
import { Rail } from './parts/Rail.tsx'
import { SidePane } from './parts/SidePane.tsx'
import { Strip } from './parts/Strip.tsx'
import { Tabs } from './parts/Tabs.tsx'
import { Tree } from './parts/Tree.tsx'
import { hello, link } from './state/store.ts'

/** Everything on one page: what is the matter on top, then the sources, then actors, chart, events and details. */
export const Page = (): JSX.Element => {
  if (link.value === 'locked') return <Locked />
  return (
    <>
      <Header />
      <main>
        <Strip />
        <DrainProgress />
        <Rail />
        {hello.value !== undefined && (
          <div class="work">
            <Tree />
            <Tabs />
            <SidePane />
          </div>
        )}
      </main>
      <Dialogs />
    </>
  )
}
