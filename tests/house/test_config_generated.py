"""What is generated from the settings models is current, and the schema says what the models say."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

import config
from config.generate import stale
from trueup.cli.main import outcome


def test_schema_and_page_are_current() -> None:
    assert stale() == [], "run python -m config.generate"


def test_the_program_prints_the_published_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome(["config", "schema"]) == 0
    published = Path(config.__file__).with_name("trueup.schema.json")
    assert json.loads(capsys.readouterr().out) == json.loads(published.read_text())


def test_the_schema_is_one_and_accepts_the_example() -> None:
    schema = config.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    example = yaml.safe_load(config.example())
    validator.validate(example)
    example["groups"][0]["scan"]["chunk_tme"] = "5s"
    example["groups"][0]["lag"]["warn"] = 10
    assert sorted(error.json_path for error in validator.iter_errors(example)) == [
        "$.groups[0].lag.warn",
        "$.groups[0].scan",
    ]
