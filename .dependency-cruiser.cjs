/**
 * Who may import what. Rules are read as: modules that match `from` must not import what matches `to`.
 */

/** A driver knows one library; the name of its file or folder says which. */
const libraryOf = {
  rabbitmq: 'amqplib',
  kafka: '@platformatic/kafka',
  tableQueue: 'pg',
  poll: 'pg',
  webhook: 'express',
}

const installed = '(^|/)node_modules/'
const packages = (...names) => names.flatMap((name) => [`${installed}${name}/`, `${installed}@types/${name}/`])
const drivers = Object.keys(libraryOf).join('|')

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'machines-decide',
      comment: 'machines/ hold decisions only: they import xstate and each other.',
      severity: 'error',
      from: { path: '^machines/' },
      to: { pathNot: ['^machines/', ...packages('xstate')] },
    },
    {
      name: 'actors-do-io',
      comment: 'actors/ import machines/, each other and node:*; xstate stays in machines/ and src/.',
      severity: 'error',
      from: { path: '^actors/' },
      to: { pathNot: ['^machines/', '^actors/', installed], dependencyTypesNot: ['core'] },
    },
    {
      name: 'actors-without-a-driver-have-no-library',
      comment: 'What is shared by drivers knows no library.',
      severity: 'error',
      from: { path: '^actors/', pathNot: `^actors/(${drivers})[./]` },
      to: { path: installed },
    },
    ...Object.entries(libraryOf).map(([driver, library]) => ({
      name: `${driver}-knows-one-library`,
      comment: `The driver ${driver} knows ${library} and no other library.`,
      severity: 'error',
      from: { path: `^actors/${driver}[./]` },
      to: { path: installed, pathNot: packages(library) },
    })),
    {
      name: 'the-inspector-is-a-guest',
      comment: 'inspector/ knows XState by its types, ws, express and node:*; nothing of the service it looks at.',
      severity: 'error',
      from: { path: '^inspector/', pathNot: '^inspector/ui/' },
      to: { pathNot: ['^inspector/(?!ui/)', ...packages('ws', 'express', 'xstate')], dependencyTypesNot: ['core'] },
    },
    {
      name: 'the-inspector-takes-no-code-of-xstate',
      comment: 'It works for actors of whatever copy of XState: it imports types only.',
      severity: 'error',
      from: { path: '^inspector/' },
      to: { path: packages('xstate'), dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'the-service-lives-without-the-inspector',
      comment: 'A guest that can be deleted: only src/ knows that it is there.',
      severity: 'error',
      from: { path: '^(machines|actors)/' },
      to: { path: '^inspector/' },
    },
    {
      name: 'src-is-not-tested-by-itself',
      comment: 'Nothing imports test/ but tests, and benches for its servers.',
      severity: 'error',
      from: { pathNot: '^(test/|bench/|vitest[.]config[.]ts$)' },
      to: { path: '^test/' },
    },
    {
      name: 'the-product-stands-alone',
      comment: 'What is shipped imports nothing that is not.',
      severity: 'error',
      from: { path: '^(machines|actors|src|inspector)/' },
      to: { path: '^(bench|examples|scripts)/' },
    },
    {
      name: 'no-cycles',
      comment: 'Modules that import each other in a circle are one module; types count.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'nothing-unresolved',
      comment: 'An import that leads nowhere. The package itself, by its name, leads to what a build makes.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^koksmat-controller$' },
    },
    {
      name: 'shipped-code-has-its-dependencies',
      comment: 'What the package imports is in its dependencies.',
      severity: 'error',
      from: { path: '^(machines|actors|src|inspector)/', pathNot: '^inspector/ui/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^dist/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
}
