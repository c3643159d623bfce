"""How the suite looks at things: reads Envoy, the API server and Teleport, and records each reading. Changes nothing."""
