"""Addresses as they may be shown: without credentials."""

from __future__ import annotations

import re

_SECRET_NAMES = re.compile("pas|psw|psk|pw|token|secret|key|auth|usr|user|login|sig|cred", re.IGNORECASE)
_WORD = re.compile(r"\s+|\S+")


def redact(text: str) -> str:
    """`text` with user names, passwords and secret query values of every address in it struck out.

    It rather strikes too much than too little. Work grows with the length of the text, whatever is in it.
    """
    return "\n".join("".join(map(_redact_run, _runs(line))) for line in text.split("\n"))


def _runs(line: str) -> list[str]:
    """The line in parts: one before the first address, then one from each address to the next.

    Not word by word: a password may hold a space.
    """
    runs = [""]
    for word in _WORD.findall(line):
        if "://" in word:
            runs.append("")
        runs[-1] += word
    return runs


def _redact_run(run: str) -> str:
    scheme, separator, rest = run.partition("://")
    if separator:
        run = scheme + separator + _without_userinfo(rest)
    return "".join(map(_redact_word, _WORD.findall(run)))


def _without_userinfo(address: str) -> str:
    """Strikes up to the last '@', since a password may itself hold '@', '/', '?' or '#'."""
    before, at, after = address.rpartition("@")
    if not at:
        return address
    if _redact_pair(before.rpartition("&")[2]).endswith("=***"):
        # A secret value may hold an '@' just as well: then what follows is no host.
        after = "***" + after[len(re.split(r"[&\s]", after)[0]) :]
    return "***@" + after


def _redact_word(word: str) -> str:
    # `user:password@host`, as somebody types it who forgets the scheme.
    if "://" not in word and ":" in word.rpartition("@")[0]:
        word = _without_userinfo(word)
    return "&".join(map(_redact_pair, word.split("&")))


def _redact_pair(pair: str) -> str:
    """`name=value`; some recorders have rtsp://host/user=admin_password=secret_channel=1."""
    parts = pair.split("=")
    for index, part in enumerate(parts[:-1]):
        name = re.split(r"[/?;,]", part)[-1]
        if _SECRET_NAMES.search(name):
            return "=".join([*parts[: index + 1], "***"])
    return pair
