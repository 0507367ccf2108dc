"""The connectors: the only room that talks to the world. One folder per engine, stream or store.

Each folder implements one or more Protocols of the core (`verifier.ports`, `verifier.journal`, `reconciler.ports`), and
translates its drivers' errors at its own border. Engines do not know each other.
"""
