"""The transaction window over global transaction ids: holes, places, floors, what shows before it is told."""

from __future__ import annotations

import pytest

from verifier.change import Batch, Blindness, Cause, Change, Operation, Transaction
from verifier.errors import Unsound
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.look import Look, Publishes
from verifier.position import Position, Tick
from verifier.table import Key, TableName
from verifier.view import Shown
from verifier.window import InFlight, TransactionWindow

T = TableName("db", "t")
U = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def ids(text: str) -> GtidSet:
    return GtidSet.parse(f"{U}:{text}") if text else GtidSet()


def domains(text: str) -> DomainGtids:
    return DomainGtids.parse(text)


def place(number: int) -> Binlog:
    return Binlog("b.000001", 100 * number)


def tx(number: int, *keys: int, commit: Position | None = None, blind: tuple[Blindness, ...] = ()) -> Transaction:
    changes = tuple(Change(T, (key,), Operation.UPDATE) for key in keys)
    return Transaction(number, commit or Logged(ids(str(number)), place(number)), 0.0, changes, blind)


def mysql(
    *transactions: Transaction, through: str = "1-20", begin: str = "", changes_max: int = 1000
) -> TransactionWindow:
    window = TransactionWindow(changes_max=changes_max)
    window.begin(Logged(ids(begin), place(0)))
    window.set_mark(ids(begin))
    window.add(Batch(transactions, Logged(ids(through), place(int(through.rpartition("-")[2])))))
    return window


def look(low: Position, high: Position | None = None) -> Look[None]:
    return Look(None, low, high or low, Shown(low))


def flight(
    window: TransactionWindow, ours: Look[None], theirs: Look[None], barrier: Position | None = None
) -> InFlight:
    return window.in_flight(T, ours, theirs, Publishes.TOGETHER, barrier=barrier or ids("1-20"))


def keys(window: TransactionWindow, ours: Look[None], theirs: Look[None]) -> set[Key]:
    found = flight(window, ours, theirs)
    assert found.judgeable, found.why
    return set(found.keys)


def test_each_transaction_is_asked_for_by_its_own_id() -> None:
    window = mysql(tx(1, 1), tx(2, 2), tx(3, 3), tx(4, 4))
    assert keys(window, look(ids("1-4")), look(ids("1:3"), ids("1:3-4"))) == {(2,), (4,)}
    assert keys(window, look(ids("1:3")), look(ids("1:3"))) == set()
    assert keys(window, look(ids("1"), ids("1-2:4")), look(ids("1"))) == {(2,), (4,)}


def test_ids_of_the_follower_alone_are_nobodys_business() -> None:
    other = GtidSet.parse(f"{U}:1-2, 11111111-71ca-11e1-9e33-c80aa9429562:1-7")
    assert keys(mysql(tx(1, 1), tx(2, 2)), look(ids("1-2")), look(other)) == set()


def test_only_the_barrier_and_the_leaders_look_must_have_been_read() -> None:
    window = mysql(tx(1, 1), through="1-3")
    found = flight(window, look(ids("1")), look(ids("1")), ids("1-4"))
    assert (found.ready, found.why.startswith("the change stream has not been read through gtids:")) == (False, True)
    assert flight(window, look(ids("1")), look(ids("1"), ids("1-9")), ids("1-3")).judgeable
    assert not flight(window, look(ids("1"), ids("1-9")), look(ids("1")), ids("1-3")).ready


def test_a_floor_is_everything_that_was_left_out() -> None:
    window = mysql(tx(1, 1), tx(2, 2), tx(3, 3))
    assert window.prune([Shown(ids("1-2"))], [ids("1-3")]) == 2
    assert keys(window, look(ids("1-3")), look(ids("1-2"))) == {(3,)}
    holed = flight(window, look(ids("1-3")), look(ids("2-3")))
    assert holed.all, "it covers the last that was dropped, and not the one before"
    assert flight(window, look(ids("2-3")), look(ids("1-3"))).all


def test_pruning_stops_at_a_hole() -> None:
    window = mysql(tx(1, 1), tx(2, 2), tx(3, 3))
    assert window.prune([Shown(ids("1-3"))], [ids("1:3"), ids("1-3")]) == 1


def test_overflow_raises_the_floor_for_good() -> None:
    window = mysql(*(tx(number, number) for number in range(1, 13)), changes_max=10)
    assert window.changes <= 10
    assert flight(window, look(ids("1-12")), look(ids("1"))).all
    assert keys(window, look(ids("1-12")), look(ids("1-11"))) == {(12,)}


def test_what_comes_again_is_known_by_its_id() -> None:
    window = mysql(tx(1, 1), tx(2, 2), through="1-2")
    window.add(Batch((tx(2, 9), tx(1, 9), tx(3, 3)), Logged(ids("1-3"), place(3))))
    assert keys_through(window, "1-3") == {(1,), (2,), (3,)}


def keys_through(window: TransactionWindow, barrier: str) -> set[Key]:
    found = flight(window, look(ids(barrier)), look(ids("")), ids(barrier))
    assert found.judgeable, found.why
    return set(found.keys)


def test_what_is_delivered_out_of_order_or_behind_the_barrier_is_unsound() -> None:
    with pytest.raises(Unsound, match="out of commit order"):
        mysql(tx(2, 2), tx(1, 1))
    window = mysql(tx(1, 1), through="1-5")
    with pytest.raises(Unsound, match="declared everything"):
        window.add(Batch((tx(5, 5),), Logged(ids("1-6"), place(6))))


def test_mariadb_looks_by_place_and_by_domain() -> None:
    window = TransactionWindow()
    window.begin(Logged(domains("0-1-0"), place(0)))
    window.set_mark(Logged(domains("0-1-0"), place(0)))
    done = [
        tx(1, 1, commit=Logged(domains("0-1-1"), place(1))),
        tx(2, 2, commit=Logged(domains("7-1-1"), place(2))),
        tx(3, 3, commit=Logged(domains("0-1-2"), place(3))),
    ]
    window.add(Batch(tuple(done), Logged(domains("0-1-2,7-1-1"), place(3))))

    def found(ours: Look[None], theirs: Look[None]) -> set[Key]:
        flight = window.in_flight(T, ours, theirs, Publishes.TOGETHER, barrier=Logged(domains("0-1-2,7-1-1"), place(3)))
        assert flight.judgeable, flight.why
        return set(flight.keys)

    assert found(look(place(3)), look(domains("0-1-2"))) == {(2,)}
    assert found(look(place(2)), look(domains("0-1-1,7-1-1"))) == set()
    assert found(look(place(1)), look(domains("0-1-1"), domains("0-1-2"))) == {(3,)}
    assert found(look(Logged(domains("0-1-1"), place(1))), look(domains("0-1-1"))) == set()


def test_a_place_tells_nothing_of_a_commit_without_one() -> None:
    window = TransactionWindow()
    window.begin(Logged(domains("0-1-0"), place(0)))
    window.set_mark(Logged(domains("0-1-0"), place(0)))
    window.add(Batch((tx(1, 1, commit=domains("0-1-1")),), Logged(domains("0-1-1"), place(3))))
    flight = window.in_flight(T, look(place(3)), look(domains("0-1-1")), Publishes.TOGETHER, barrier=place(3))
    assert flight.keys == {(1,)}
    assert window.prune([Shown(place(3))], [domains("0-1-1")]) == 0


def test_commits_may_be_sets_of_everything_so_far() -> None:
    window = mysql(*(tx(n, n, commit=ids(f"1-{n}")) for n in (1, 2, 4)))
    assert keys(window, look(ids("1-4")), look(ids("1:4"), ids("1:4"))) == {(2,)}
    window.add(Batch((tx(2, 9, commit=ids("1-2")),), None))
    assert keys(window, look(ids("1-4")), look(ids("1-2"))) == {(4,)}


def test_a_commit_that_could_be_one_of_several_is_shown_only_with_all_of_them() -> None:
    window = TransactionWindow()
    window.begin(domains("0-1-1,1-1-1"))
    window.set_mark(domains("0-1-1,1-1-1"))
    window.add(Batch((tx(1, 1, commit=domains("0-1-2,1-1-2")),), domains("0-1-2,1-1-2")))
    both, one = domains("0-1-2,1-1-2"), domains("0-1-2,1-1-1")
    for ours, theirs, expected in ((both, both, set()), (both, one, {(1,)}), (one, both, {(1,)}), (one, one, {(1,)})):
        flight = window.in_flight(T, look(ours), look(theirs), Publishes.TOGETHER, barrier=both)
        assert flight.keys == expected


@pytest.mark.parametrize(("ours", "theirs", "judged"), [("1-2", "1-2", True), ("1", "1", False), ("1-2", "1", False)])
def test_a_truncate_may_show_before_it_is_told(ours: str, theirs: str, judged: bool) -> None:
    window = mysql(tx(1, 1), tx(2, blind=(Blindness(Cause.TRUNCATE, T),)))
    assert flight(window, look(ids(ours)), look(ids(theirs))).judgeable is judged


def test_positions_of_two_kinds_of_leader_are_unsound() -> None:
    window = mysql(tx(1, 1))
    with pytest.raises(Unsound, match="another kind of leader"):
        window.add(Batch((tx(2, 2, commit=Tick(7)),), None))
    with pytest.raises(Unsound, match="no id of its own"):
        mysql(tx(1, 1, commit=place(3)))


def test_a_gap_forgets_all_and_asks_for_a_mark() -> None:
    window = mysql(tx(1, 1))
    window.add(Batch((), Logged(ids("1-9"), place(9)), blind=(Blindness(Cause.GAP, None, "purged"),)))
    assert window.needs_mark
    window.set_mark(ids("1-9"))
    assert flight(window, look(ids("1-9")), look(ids("1-8")), ids("1-9")).all
    assert flight(window, look(ids("1-9")), look(ids("1-9")), ids("1-9")).judgeable


def test_a_table_that_joined_at_a_place_is_judged_once_that_place_has_ids() -> None:
    window = TransactionWindow()
    window.begin(Logged(domains("0-1-0"), place(0)))
    window.set_mark(Logged(domains("0-1-0"), place(0)))
    window.join(T, place(2), Logged(domains("0-1-2"), place(2)))

    def judged(ids: str, read: int) -> InFlight:
        barrier = Logged(domains(f"0-1-{read}"), place(read))
        return window.in_flight(T, look(place(read)), look(domains(ids)), Publishes.TOGETHER, barrier=barrier)

    window.add(Batch((tx(1, 1, commit=Logged(domains("0-1-1"), place(1))),), Logged(domains("0-1-1"), place(1))))
    assert judged("0-1-1", 1).all
    window.add(Batch((), Logged(domains("0-1-3"), place(3))))
    assert judged("0-1-2", 3).all, "the ids at the first place read behind it count"
    assert judged("0-1-3", 3).judgeable


def mariadb(*commits: str, begin: str = "0-1-99") -> tuple[TransactionWindow, list[Transaction]]:
    """One transaction on the key of its index each, in the log's order, and a window that is to take them in."""
    window = TransactionWindow()
    window.begin(Logged(domains(begin), place(0)))
    window.set_mark(Logged(domains(begin), place(0)))
    return window, [tx(n, n, commit=Logged(domains(one), place(n))) for n, one in enumerate(commits, 1)]


def through(text: str, number: int) -> Logged:
    return Logged(domains(text), place(number))


def judged(window: TransactionWindow, ours: int, theirs: str, read: int) -> InFlight:
    """The leader's look shows all at or before a place, the follower's tells ids."""
    barrier = Logged(domains("0-1-0"), place(read))
    return window.in_flight(T, look(place(ours)), look(domains(theirs)), Publishes.TOGETHER, barrier=barrier)


@pytest.mark.parametrize("second", ["0-2-100", "0-2-99", "0-1-100"])
@pytest.mark.parametrize("apart", [False, True])
def test_numbers_of_a_domain_that_do_not_grow_tell_nothing_until_a_higher_one_comes(second: str, apart: bool) -> None:
    window, txs = mariadb("0-1-100", second, "0-1-101", "0-1-102")
    assert (
        window.add(Batch(tuple(txs[: 1 if apart else 2]), through("0-1-100", 1 if apart else 2)))
        == txs[: 1 if apart else 2]
    )
    if apart:
        assert judged(window, 1, "0-1-100", 1).judgeable
        window.add(Batch((txs[1],), through("0-1-100", 2)))
    found = judged(window, 2, "0-1-100", 2)
    assert (found.judgeable, "gtid_strict_mode" in found.why, window.disordered) == (False, True, True)
    window.add(Batch((txs[2],), through("0-1-101", 3)))
    assert not window.disordered
    assert window.needs_mark
    window.set_mark(through("0-1-101", 3))
    assert not judged(window, 3, "0-1-100", 3).judgeable, "whoever shows 100 may not show what came behind it"
    assert judged(window, 3, "0-1-101", 3).keys == frozenset()
    window.add(Batch((txs[3],), through("0-1-102", 4)))
    assert judged(window, 3, "0-1-102", 4).keys == {(4,)}


def test_disorder_in_two_domains_ends_when_both_have_passed() -> None:
    window, txs = mariadb("0-1-100", "7-1-5", "0-2-100", "7-2-5", "7-1-6", "0-1-101", begin="0-1-99,7-1-4")
    window.add(Batch(tuple(txs[:5]), through("0-1-100,7-1-6", 5)))
    assert window.disordered
    window.add(Batch((txs[5],), through("0-1-101,7-1-6", 6)))
    assert not window.disordered


def test_what_comes_again_from_a_place_that_was_read_is_no_disorder() -> None:
    window, txs = mariadb("0-1-100", "0-2-101", "0-1-102")
    window.add(Batch(tuple(txs), through("0-1-102", 3)))
    assert window.add(Batch((txs[0], txs[1], txs[2]), through("0-1-102", 3))) == []
    assert (window.disordered, judged(window, 3, "0-1-102", 3).judgeable) == (False, True)


def test_without_places_another_server_of_the_same_number_is_disorder() -> None:
    window, _ = mariadb()
    window.add(Batch((tx(1, 1, commit=domains("0-1-100")),), None))
    window.add(Batch((tx(1, 1, commit=domains("0-1-100")),), None))
    assert not window.disordered
    window.add(Batch((tx(2, 2, commit=domains("0-2-100")),), domains("0-1-100")))
    assert window.disordered


def test_on_an_idle_leader_the_barriers_ids_vouch_for_the_place_of_its_look() -> None:
    """MariaDB places its look by the file alone; a connector tells only where a transaction's last row begins."""
    window = TransactionWindow()
    window.begin(Logged(domains("0-1-0"), place(0)))
    window.set_mark(Logged(domains("0-1-0"), place(0)))
    inside = Binlog("b.000001", 150)
    window.add(Batch((tx(1, 1, commit=Logged(domains("0-1-1"), inside)),), Logged(domains("0-1-1"), inside)))

    def asked(ours: Binlog, barrier: Position, theirs: str = "0-1-1") -> InFlight:
        return window.in_flight(T, look(ours), look(domains(theirs)), Publishes.TOGETHER, barrier=barrier)

    assert asked(place(2), Logged(domains("0-1-1"), place(2))) == InFlight()
    assert asked(place(2), Logged(domains("0-1-1"), place(2)), "0-1-0").keys == {(1,)}
    assert not asked(place(2), Logged(domains("0-1-2"), place(3))).ready, "something was logged since"
    assert not asked(place(3), Logged(domains("0-1-1"), place(2))).ready, "the barrier is no later than the look"
    assert not asked(place(2), domains("0-1-1")).ready, "ids alone say nothing of a place"
