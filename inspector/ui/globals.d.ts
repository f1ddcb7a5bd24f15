/** Where the layout worker lies, relative to the page; put in by the build. */
declare const layoutWorkerFile: string
