"""The reconciler: what shall be done about drift. It decides and performs no I/O.

Words first (`repair`, `policy`, `ports`). `plan` turns a proven drift and freshly read rows (`rows`) into a `Repair` or
a `Refusal`; `guard` holds budgets and brakes; `order` puts parents before children; `progress` is the life of a repair
as one table of moves; `events` (with `masking`) shapes what others are told, `schemas/` publishes it.
The flows: `repairing` plans, approves, rejects and verifies, `applying` writes, `undoing` takes back; all of them
change repairs through `casebook`.
"""
