"""Every setting that says how hard trueup works, what it mends and whom it tells is read by what does so: otherwise its
line in the configuration page would be a promise that nobody keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.kafka import KafkaAccess
from config.model import Model
from config.policy import Brakes, Events, Http, Lag, Log, Metrics, Repairs, Scan, Verify

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "\n".join(path.read_text() for path in sorted((ROOT / "trueup").rglob("*.py")))
SECTIONS: dict[str, type[Model]] = {
    "brakes": Brakes, "events": Events, "http": Http, "lag": Lag, "log": Log, "metrics": Metrics, "repair": Repairs,
    "scan": Scan, "verify": Verify,
}  # fmt: skip
READ_AS = {"brakes": "told", "http.listen": r"http\.place\("}
"""Under another name: of a whole section, or of one setting."""
ONE_VALUE = {"repair.policy", "events.client"}
"""What can only be told one thing needs nobody to read it."""
SETTINGS = [
    f"{section}.{name}"
    for section, model in SECTIONS.items()
    for name in model.model_fields
    if name not in KafkaAccess.model_fields
]
"""But for how brokers are reached, which `events` has in common with the stream."""


@pytest.mark.parametrize("setting", sorted(set(SETTINGS) - ONE_VALUE))
def test_somebody_reads_it(setting: str) -> None:
    section, _, name = setting.partition(".")
    where = READ_AS.get(setting, rf"\b{READ_AS.get(section, section)}\.{name}\b")
    assert re.search(where, SOURCE), f"groups[].{setting} changes nothing"


def test_settings_were_found() -> None:
    assert {"verify.every", "lag.max", "brakes.running_max", "events.relay_every", "http.listen"} <= set(SETTINGS)
