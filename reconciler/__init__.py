"""The reconciler: what shall be done about drift. It decides and performs no I/O.

`plan` turns a proven drift and freshly read rows into a `Repair` or a `Refusal`; `guard` holds budgets and brakes;
`progress` is the life of a repair as one table of transitions; `events` shapes the compensating events.
"""
