"""The verifier: what is true, and what differs. It decides and performs no I/O.

Words first (`table`, `keyrange`, `position`, `view`, `digest`, `change`, `drift`), then one look at a server
(`look`) and the world as a few Protocols (`ports`, `journal`). The rules of evidence stand on them: `visibility`
with a change stream (`window`), `bracket` without, `stillness` where nothing moves. The flows on top walk tables
(`scan`), wait for suspects to settle (`settle`), follow the stream (`follow`, `touched`) and check invariants.
"""
