"""A consumer that notices when a partition's log is not the one that was read before.

Where an unclean leader is elected, or a log is cut back otherwise, what was read last may be gone, and other messages
may lie at the same offsets. A broker only says so while offsets are out of its range. So of each partition the last
message that was read is remembered by offset and mark, a hash of its time, key and value, and the journal keeps both
with the offsets. After a restart, and when a message comes from another leader's epoch, that message is read once more:
if there is another one in its place, or none, the partition is `lost`, as if the broker no longer held our offset.

It proves nothing where the message itself is gone by retention: then what lies behind it is taken as it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import TypeAlias

from connectors.debezium.pending import Partition
from connectors.kafka.port import Consumer, Polled, Record, Run

Mark: TypeAlias = tuple[int, int]
"""The offset of a message, and its hash (56 bits)."""


class Steady:
    """A `Consumer` around another one. `marks` are those of what was read last, for `begin` after a restart."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self.partitions, self.bounds, self.high = consumer.partitions, consumer.bounds, consumer.high
        self.made, self.compacted = consumer.made, consumer.compacted
        self.commit, self.close = consumer.commit, consumer.close
        self.marks: dict[Partition, Mark] = {}
        self._doubted: dict[Partition, Mark] = {}
        self._wanted: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._held: set[Partition] = set()  # paused as the client knows it
        self._epochs: dict[Partition, int] = {}
        self._owing = False  # whether the client has not been told yet where to read on

    def begin(self, marks: Mapping[Partition, Mark]) -> None:
        """These were read last, perhaps from a log that is another one by now."""
        self.marks, self._doubted, self._epochs = dict(marks), dict(marks), {}

    def assign(self, positions: Mapping[Partition, int]) -> None:
        self._wanted, self._paused, self._owing = dict(positions), set(), True
        self._assign()

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        if self._owing:  # whoever is asked may be away: so before anything is taken from the client
            self._assign()
        polled = self._consumer.poll(records_max, seconds_max)
        lost = list(polled.lost)
        again: set[Partition] = set()
        runs = []
        for run in polled.runs:
            place = run.place
            if place in again or place in lost:
                continue
            if self._elected(run):
                again.add(place)
                continue
            if place in self._doubted:
                told = self._settled(run)
                if told is None:
                    lost.append(place)
                    continue
                if not told.offsets:
                    continue
                run = told
            self.marks[place] = run.offsets[-1], _mark(run, len(run.offsets) - 1)
            self._wanted[place] = run.offsets[-1] + 1
            runs.append(run)
        ends = {place: end for place, end in polled.ends.items() if place not in self._doubted and place not in lost}
        for place, end in ends.items():
            self._wanted[place] = max(end, self._wanted.get(place, end))
        self._owing = bool(again)
        return Polled(runs, lost, ends)

    def _elected(self, run: Run) -> bool:
        """Whether another leader wrote this than what was read before; what was read last is then in doubt."""
        place, before = run.place, self._epochs.get(run.place)
        if run.epoch is not None:
            self._epochs[place] = run.epoch
        if place in self._doubted or place not in self.marks or before in (None, run.epoch) or run.epoch is None:
            return False
        self._doubted[place] = self.marks[place]
        return True

    def _settled(self, run: Run) -> Run | None:
        """What of the run was not read before; None if its log is another one."""
        offset, mark = self._doubted[run.place]
        if run.offsets[-1] >= offset:
            index = bisect_left(run.offsets, offset)
            if run.offsets[index] != offset or _mark(run, index) != mark:
                return None
            del self._doubted[run.place]
        return _behind(run, bisect_left(run.offsets, self._wanted[run.place]))

    def _assign(self) -> None:
        """Read what is in doubt once more, as far as the broker still has it."""
        doubted = {place: mark[0] for place, mark in self._doubted.items() if place in self._wanted}
        bounds = self._consumer.bounds(doubted.keys()) if doubted else {}
        begin = dict(self._wanted)
        for place, offset in doubted.items():
            if bounds.get(place, (offset + 1, 0))[0] > offset:
                del self._doubted[place]
            else:
                begin[place] = min(offset, begin[place])
        self._hold(())  # a client that is told anew what to read holds what it held
        self._consumer.assign(begin)
        self._owing = False
        self._hold(self._paused)

    def pause(self, partitions: Collection[Partition], paused: bool) -> None:
        self._paused = self._paused | set(partitions) if paused else self._paused - set(partitions)
        if not self._owing:  # else it knows none of them, or is told once it is told where to read on
            self._hold(self._paused)

    def _hold(self, partitions: Collection[Partition]) -> None:
        """Have the client hold these and no others."""
        wanted = set(partitions)
        for places, paused in ((self._held - wanted, False), (wanted - self._held, True)):
            if places:
                self._consumer.pause(places, paused)
        self._held = wanted


def _behind(run: Run, start: int) -> Run:
    if start == 0:
        return run

    def record(index: int) -> Record:
        return run.record(start + index)

    return replace(run, offsets=run.offsets[start:], keys=run.keys[start:], values=run.values[start:], record=record)


def _mark(run: Run, index: int) -> int:
    at = run.at if index == len(run.offsets) - 1 else run.record(index).at
    told = blake2b(digest_size=7)
    for part in (b"" if at is None else b"%d" % round(at * 1000), run.keys[index], run.values[index]):
        told.update(b"-" if part is None else b"%d:" % len(part))
        told.update(part or b"")
    return int.from_bytes(told.digest(), "big")
