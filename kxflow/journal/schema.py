"""The JSON Schema of a log's lines, as it is shipped."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12) that every line of a log meets; a fresh copy.

    >>> schema()["$id"]
    'urn:kxflow:journal:1'
    """
    text = resources.files("kxflow.journal").joinpath("schema.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
