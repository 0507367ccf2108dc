"""A history in which the leader dies and a standby is promoted: at a random step, so also in the middle of any call.

The standby leads with what it shows on a new timeline, without the last commits of the old leader. A subscriber goes on
behind it with its own rows, or is built anew; another standby follows, or is ahead of its new leader and stays on the
old timeline. The leader's address is dead for a while, and then leads to the new leader, to nobody, to the old
leader as it was, or to the old server as a standby.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.memory.address import Address
from connectors.memory.follower import Follower, promote
from connectors.memory.leader import Leader
from simulated.history import ITEMS, OTHERS, History
from verifier.look import Role
from verifier.table import Key, TableName

_BACK = 0.05


@dataclass(slots=True)
class Failover(History):
    """`chance` of each step to be the leader's last. `fate` is what the leader's address leads to in the end."""

    chance: float = 0.0
    fate: str = field(init=False)
    old: Leader | None = None
    _returned: bool = False

    def __post_init__(self) -> None:
        History.__post_init__(self)
        self.fate = self.random.choice(("moves", "moves", "away", "returns", "rejoins"))

    @property
    def moved(self) -> bool:
        return self.old is not None

    def _chosen(self) -> tuple[str, ...]:
        return self.random.choice(
            (("standby", "subscriber"), ("standby", "mirror"), ("standby", "subscriber", "mirror"))
        )

    def step(self) -> None:
        if self.chance and self.old is None and self.random.random() < self.chance:
            self.fail_over()
        if self.moved and not self._returned and self.random.random() < _BACK:
            self._return()
        History.step(self)
        self._taint()

    def fail_over(self) -> None:
        """The leader dies, and the standby is promoted."""
        assert self.old is None
        self.old, standby = self.leader, self.followers["standby"]
        for writing in self._open:  # as its recovery will leave them
            if writing.logged:
                writing.show()
            else:
                writing.abort()
        self._open.clear()
        self.addresses["leader"].server = None
        self.leader = promote(standby)
        for name, follower in self.followers.items():
            if follower is not standby:
                self._go_on(follower)
                self.tainted[name] |= self.tainted["standby"]  # what was wrong there is right by definition now
        self._taint()

    def put_right(self, *, beside: bool) -> None:
        """What the operator does before trueup is started again: every address leads where it should. `beside`: that of
        the promoted standby may lead to the new leader still."""
        if self.old is None:
            self.fail_over()
        self._returned = True
        self.addresses["leader"].server = self.leader
        for name, follower in list(self.followers.items()):
            choice = self.random.choice(("rebuilt", "dropped", "itself" if beside else "rebuilt"))
            if follower.promoted is not None and choice == "dropped":
                del self.followers[name]
            elif (follower.promoted is not None and choice == "rebuilt") or follower.leader is self.old:
                self._build(name)

    def quiet(self) -> None:
        """The new leader's log goes on by itself, until no follower counts beyond it."""
        ahead = max((one.published for one in self.followers.values() if one.promoted is None), default=0)
        self.leader.noise(max(0, ahead - self.leader.position))
        History.quiet(self)
        self._taint()

    def _go_on(self, follower: Follower) -> None:
        if follower.role is Role.SUBSCRIBER:
            if self.random.random() < 0.7:
                follower.repoint(self.leader)
            else:
                follower.rebuild(self.leader)
        elif follower.published <= self.leader.position and follower.shown <= len(self.leader.log):
            follower.leader = self.leader

    def _build(self, name: str) -> None:
        """A new standby of the new leader at this address."""
        built = Follower(self.leader, Role.STANDBY)
        built.rebuild(self.leader)
        self.followers[name] = built
        self.addresses[name].server = built

    def _return(self) -> None:
        """The leader's address answers again."""
        self._returned = True
        here: Address = self.addresses["leader"]
        if self.fate == "moves":
            here.server = self.leader
        elif self.fate == "returns":
            here.server = self.old
        elif self.fate == "rejoins":
            back = Follower(self.leader, Role.STANDBY)
            back.rebuild(self.leader)
            here.server = back

    def _taint(self) -> None:
        everything = {(table, (key,)) for table in (ITEMS, OTHERS) for key in range(self.keys)}
        for name, follower in self.followers.items():
            self.tainted[name] |= follower.lost | self._parted(follower)
            if self.moved and self.fate == "returns":
                self.tainted[name] |= everything  # two leaders, whose tables part

    def _parted(self, follower: Follower) -> set[tuple[TableName, Key]]:
        """What a standby that stayed on the old timeline shows and its leader never had, and what it is never sent."""
        if self.old is None or follower.leader is not self.old or follower.promoted is not None:
            return set()
        shared = sum(ours is theirs for ours, theirs in zip(self.old.log, self.leader.log, strict=False))
        records = [*self.old.log[shared : follower.shown], *self.leader.log[shared:]]
        return {(change.table, change.key) for record in records for change in record.changes}
