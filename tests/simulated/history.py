"""One random history: writers in small steps, followers that apply late, stop and go on, and damage on request.

Whatever trueup asks of this world, the world moves while it asks: `happen` runs a random number of steps before each
answer. Few keys and few values make collisions dense: rows come back, values repeat, most keys are always in flight.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from connectors.memory.address import Address
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.identified import IdentifiedReplica
from connectors.memory.leader import Leader, Locked, Writing
from connectors.memory.replica import MemoryReplica
from connectors.memory.rows import Values
from verifier.change import Change
from verifier.drift import Kind
from verifier.look import Role
from verifier.table import Column, Family, Key, Table, TableName

ITEMS = TableName("public", "items")
OTHERS = TableName("public", "others")
_COLUMNS = (Column("id", Family.INTEGER, "bigint", False), Column("v", Family.TEXT, "text"))
_STEPS = (0, 0, 1, 1, 2, 3, 5, 12)
_ROLES = {"standby": Role.STANDBY, "subscriber": Role.SUBSCRIBER, "mirror": Role.STANDBY}


@dataclass(slots=True)
class History:
    """`tainted` names, per follower, the keys that damage has ever touched: only these may drift."""

    random: Random
    keys: int = 8
    writing: bool = True
    clock: VirtualClock = field(default_factory=VirtualClock)
    leader: Leader = field(init=False)
    followers: dict[str, Follower] = field(init=False)
    tainted: dict[str, set[tuple[TableName, Key]]] = field(init=False)
    addresses: dict[str, Address] = field(init=False)
    identified: bool = False
    """Positions are sets of global transaction ids, as MariaDB and MySQL have them."""
    _open: list[Writing] = field(default_factory=list)
    _happening: bool = False

    def __post_init__(self) -> None:
        self.clock.happen = self.happen
        self.leader = Leader(self.clock.now)
        chosen = self._chosen()
        self.followers = {name: Follower(self.leader, role) for name, role in _ROLES.items() if name in chosen}
        self.tainted = {name: set() for name in self.followers}
        self.addresses = {"leader": Address(self.leader)}
        self.addresses |= {name: Address(follower) for name, follower in self.followers.items()}
        for name in (ITEMS, OTHERS):
            table = Table(name, _COLUMNS, ("id",))
            self.leader.create(table)
            for follower in self.followers.values():
                follower.shelves.create(table)
        first = self.leader.begin()
        for number in range(0, self.keys, 2):
            first.insert(ITEMS, _row(number, "0"))
        first.commit()
        for follower in self.followers.values():
            follower.catch_up()

    @property
    def moved(self) -> bool:
        """Did any server become another one?"""
        return False

    def _chosen(self) -> tuple[str, ...]:
        return self.random.choice((("standby",), ("subscriber",), ("standby", "subscriber")))

    def replica(self, name: str) -> MemoryReplica:
        """A new process's way to what is behind this address."""
        role = Role.LEADER if name == "leader" else None
        kind = IdentifiedReplica if self.identified else MemoryReplica
        return kind(name, self.addresses[name], role=role, happen=self.happen)

    def happen(self) -> None:
        """Time passes, and with it some steps of everybody."""
        if self._happening:
            return
        self._happening = True
        self.clock.at += self.random.random() * 0.004
        if not self.writing:
            return
        for _ in range(self.random.choice(_STEPS)):
            self.step()
        self._happening = False

    def step(self) -> None:
        """One small step of a writer or a follower."""
        chance = self.random.random()
        if chance < 0.45:
            self._write()
        elif chance < 0.47:
            self.leader.noise(self.random.randint(1, 40))
        elif chance < 0.49:
            follower = self.random.choice(list(self.followers.values()))
            follower.held = not follower.held and self.random.random() < 0.7
        else:
            self.random.choice(list(self.followers.values())).step()

    def quiet(self) -> None:
        """Everybody finishes, nobody begins: writers end, followers apply everything."""
        self.writing = False
        for writing in self._open:
            if not writing.logged:
                writing.log()
            writing.show()
        self._open.clear()
        for follower in self.followers.values():
            follower.held = False
            follower.catch_up()

    # damage

    def damage(self, *, unseen: bool = True) -> None:
        """Something goes wrong on one follower. `unseen`: also behind the replication's back, where no change tells."""
        name = self.random.choice([name for name, one in self.followers.items() if one.promoted is None])
        follower, key = self.followers[name], (self.random.randrange(self.keys),)
        self.tainted[name].add((ITEMS, key))
        kind = self.random.choice(("skip", "alter", "put", "drop") if unseen else ("skip", "alter"))
        if kind == "put":
            follower.put(ITEMS, key, _row(key[0], "rogue"))
        elif kind == "drop":
            follower.drop(ITEMS, key)
        else:
            follower.damages.append(_Once(key, skips=kind == "skip"))

    def differences(self, name: str) -> dict[tuple[TableName, Key], Kind]:
        """What a follower really lacks, has too much or has wrong, by comparing both stores."""
        found: dict[tuple[TableName, Key], Kind] = {}
        for table in (ITEMS, OTHERS):
            ours, theirs = self.leader.shelves.tables[table].rows, self.followers[name].shelves.tables[table].rows
            for key in ours.keys() | theirs.keys():
                if key not in theirs:
                    found[table, key] = Kind.MISSING
                elif key not in ours:
                    found[table, key] = Kind.EXTRA
                elif ours[key][0] != theirs[key][0]:
                    found[table, key] = Kind.MISMATCHED
        return found

    # writers

    def _write(self) -> None:
        if len(self._open) < 3 and self.random.random() < 0.3:
            self._open.append(self.leader.begin())
        if not self._open:
            return
        writing = self.random.choice(self._open)
        if writing.logged:
            writing.show()
            self._open.remove(writing)
        elif self.random.random() < 0.55:
            self._change(writing)
        elif self.random.random() < 0.15:
            writing.abort()
            self._open.remove(writing)
        else:
            writing.log()

    def _change(self, writing: Writing) -> None:
        table = ITEMS if self.random.random() < 0.8 else OTHERS
        number = min(int(self.random.expovariate(0.5)), self.keys - 1)
        value = self.random.choice("ab")
        try:
            row = self.leader.current(writing, table, (number,))
            if row is None:
                writing.insert(table, _row(number, value))
            elif self.random.random() < 0.3:
                writing.delete(table, (number,))
            else:
                writing.update(table, (number,), {"v": value})
        except Locked:
            return  # the writer waits


@dataclass(slots=True)
class _Once:
    """Skip or alter the next change of one key."""

    key: Key
    skips: bool
    done: bool = False

    def __call__(self, change: Change) -> Change | None:
        if self.done or change.table != ITEMS or change.key != self.key:
            return change
        self.done = True
        if self.skips or change.after is None:
            return None
        return Change(change.table, change.key, change.operation, {**change.after, "v": "altered"})


def _row(number: int | str, value: str) -> Values:
    return {"id": str(number), "v": value}
