import type { ResolvedHandler } from '../config/resolved.ts'
import { createRouter } from '../jobs/router.ts'
import type { StandardSchemaV1 } from '../standardSchema.ts'

/**
 * Which parts of an event are secret, as the schema of its handler says: fields that are `writeOnly`, have the format
 * `password`, or are marked `secret` (zod: `z.string().meta({ secret: true })`). Read from the JSON Schema that the
 * schema gives of itself (https://standardschema.dev/json-schema); one that gives none marks nothing.
 */
export const createSecretPaths = (
  handlers: readonly ResolvedHandler[],
): ((object: object) => readonly string[] | undefined) => {
  const route = createRouter(handlers)
  const known = new Map<StandardSchemaV1, readonly string[]>()
  return (object) => {
    if (!('type' in object && 'data' in object && 'via' in object) || typeof object.type !== 'string') return undefined
    const schema = route(object.type)?.schema
    if (schema === undefined) return undefined
    let paths = known.get(schema)
    if (paths === undefined) {
      paths = secretsOf(jsonSchemaOf(schema), 'data')
      known.set(schema, paths)
    }
    return paths
  }
}

interface Node {
  readonly writeOnly?: unknown
  readonly secret?: unknown
  readonly format?: unknown
  readonly properties?: Readonly<Record<string, Node>>
  readonly additionalProperties?: Node | boolean
  readonly items?: Node
  readonly prefixItems?: readonly Node[]
  readonly anyOf?: readonly Node[]
  readonly oneOf?: readonly Node[]
  readonly allOf?: readonly Node[]
}

const jsonSchemaOf = (schema: StandardSchemaV1): Node => {
  const { jsonSchema } = schema['~standard'] as { jsonSchema?: { input?(options: object): unknown } }
  try {
    return (jsonSchema?.input?.({ target: 'draft-2020-12', libraryOptions: { unrepresentable: 'any' } }) ?? {}) as Node
  } catch {
    return {}
  }
}

const secretsOf = (node: Node, path: string): readonly string[] => {
  if (node.writeOnly === true || node.secret === true || node.format === 'password') return [path]
  const { properties = {}, additionalProperties, items, prefixItems = [], anyOf = [], oneOf = [], allOf = [] } = node
  return [
    ...Object.entries(properties).flatMap(([name, inner]) => secretsOf(inner, `${path}.${name}`)),
    ...(typeof additionalProperties === 'object' ? secretsOf(additionalProperties, `${path}.*`) : []),
    ...[...(items === undefined ? [] : [items]), ...prefixItems, ...anyOf, ...oneOf, ...allOf].flatMap((inner) =>
      secretsOf(inner, path),
    ),
  ]
}
