"""What leaves the house has no passwords in it, whoever wrote them into a message."""

from __future__ import annotations

import pytest

from trueup.logs import redacted


@pytest.mark.parametrize(
    ("told", "left"),
    [
        (
            "nobody answers at postgresql://ann:s3cret@db1:5432/shop",
            "nobody answers at postgresql://ann:***@db1:5432/shop",
        ),
        ("mysql+pymysql://ann:s3/cr:et@db1/shop", "mysql+pymysql://ann:***@db1/shop"),
        ("host=db1 password=s3cret user=ann", "host=db1 password=*** user=ann"),
        ("http://127.0.0.1:9187/metrics /livez", "http://127.0.0.1:9187/metrics /livez"),
        ("postgresql://ann@db1/shop, key a@b", "postgresql://ann@db1/shop, key a@b"),
    ],
)
def test_passwords_of_urls_and_of_settings_are_left_out(told: str, left: str) -> None:
    assert redacted(told) == left
