"""Law of silence, at its root: bytes in, bytes out."""

from __future__ import annotations

import base64
import hashlib
import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kxflow.values.output import HEAD, TAIL, Collector, Output
from kxflow.values.redact import MOST, SHORTEST, WHOLE, Redactor, Veil
from kxflow.values.secret import Secret
from tests.values.spellings import SPELLINGS, base64_inside, in_base64, secrets, spoken

HUNTER = Secret("hunter2 & <hunter>'s/€2")
NOISE = st.binary(max_size=40) | st.text("abc 01\n'\"", max_size=40).map(str.encode)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Data in chunks."""
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_is_masked(name: str) -> None:
    """A worked example: whatever wrote it, it does not stand in the text any more, and the rest does."""
    spelled = SPELLINGS[name](HUNTER.raw)
    clean = Redactor([HUNTER]).redact(b"login root " + spelled + b" on db1")
    assert spoken(HUNTER, clean) == []
    assert clean.startswith(b"login root ")
    assert clean.endswith(b" on db1")
    assert len(clean) == len(spelled) + 18


@given(known=st.lists(secrets(), min_size=1, max_size=4), data=st.data(), around=st.tuples(NOISE, NOISE))
def test_no_secret_is_whole_in_any_spelling(
    known: list[Secret], data: st.DataObject, around: tuple[bytes, bytes]
) -> None:
    """Random secrets, random surroundings, every spelling; as many bytes come out as went in."""
    spell = SPELLINGS[data.draw(st.sampled_from(sorted(SPELLINGS)))]
    text = around[0] + b"".join(spell(each.raw) + around[1] for each in known)
    clean = Redactor(known).redact(text)
    assert [spoken(each, clean) for each in known] == [[]] * len(known)
    assert len(clean) == len(text)


@given(secret=secrets(), before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_base64_of_more_than_the_secret_is_masked(secret: Secret, before: bytes, after: bytes) -> None:
    """At all three alignments nothing of the secret but its outermost bits can be read back."""
    clean = Redactor([secret]).redact(b"data: " + base64_inside(before, secret.raw, after))
    assert not in_base64(secret.raw, clean)


@given(
    known=st.lists(secrets(), min_size=1, max_size=3),
    parts=st.lists(st.integers(0, 5), max_size=6),
    noise=NOISE,
    places=st.lists(st.integers(0, 400), max_size=20),
    data=st.data(),
)
def test_chunks_are_as_clean_as_the_whole(
    known: list[Secret], parts: list[int], noise: bytes, places: list[int], data: st.DataObject
) -> None:
    """In any chunking no secret is whole; what was given is given back, masked or as it was, byte for byte."""
    spell = SPELLINGS[data.draw(st.sampled_from(sorted(SPELLINGS)))]
    text = noise.join(spell(known[part % len(known)].raw) for part in parts) + noise
    veil = Veil(Redactor(known))
    fed = [veil.feed(chunk) for chunk in cut(text, places)]
    rest = veil.rest()
    raw, clean = (b"".join(each) + rest for each in zip(*fed, strict=True)) if fed else (rest, rest)
    assert raw == text
    assert len(clean) == len(text)
    assert [spoken(each, clean) for each in known] == [[]] * len(known)
    assert len({byte for byte, was in zip(clean, raw, strict=True) if byte != was}) <= 1


@given(text=st.binary(max_size=200))
def test_what_holds_no_secret_comes_back_itself(text: bytes) -> None:
    """Nothing is copied, nothing is changed."""
    redactor = Redactor([Secret("a secret that no test draws")])
    assert redactor.redact(text) is text


def test_what_may_begin_a_secret_is_held_back_and_given_at_the_end() -> None:
    """Live output lags by no more than the beginning of a secret."""
    veil = Veil(Redactor([Secret("hunter2-hunter2")]))
    assert veil.feed(b"ready\n") == (b"ready\n", b"ready\n")
    assert veil.feed(b"ready hunter2-") == (b"ready ", b"ready ")
    assert veil.feed(b"hunt") == (b"", b"")
    assert veil.rest() == b"hunter2-hunt"
    assert veil.rest() == b""


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_secret_is_masked_wherever_it_is_cut_in_two(name: str) -> None:
    """Also before its last byte, and after its first."""
    spelled = SPELLINGS[name](HUNTER.raw)
    redactor = Redactor([HUNTER])
    for place in range(1, len(spelled)):
        veil = Veil(redactor)
        clean = veil.feed(spelled[:place])[1] + veil.feed(spelled[place:])[1] + veil.rest()
        assert clean == redactor.redact(spelled)


def test_short_secrets_are_passed_over() -> None:
    """Under 8 bytes a mask would tear words apart; 8 are masked."""
    redactor = Redactor([Secret("root"), Secret("1234567")])
    assert not redactor.knows
    assert redactor.redact(b"root 1234567") == b"root 1234567"
    assert Redactor([Secret("12345678")]).redact(b"root 12345678") == b"root ********"
    assert len("12345678") == SHORTEST


def test_a_redactor_learns_and_never_forgets() -> None:
    """Secrets that are made on the way are masked from then on; its repr tells none of them."""
    redactor = Redactor([Secret("first-secret")])
    redactor.learn([Secret("second-secret"), Secret("first-secret")])
    assert redactor.redact(b"first-secret second-secret") == b"************ *************"
    assert repr(redactor) == "Redactor(2 secrets)"


def test_the_mask_is_no_secret() -> None:
    """A secret of stars is masked by something else, and a mask makes no secret together with its neighbours."""
    assert Redactor([Secret("*" * 12)]).redact(b"*" * 12) == b"#" * 12
    redactor = Redactor([Secret("password"), Secret("*-and-more")])
    assert redactor.redact(b"password-and-more") == b"########-and-more"


def test_secrets_within_secrets_are_masked_whole() -> None:
    """Overlapping, one at the beginning of another, or one inside of another: all that is part of one is masked."""
    redactor = Redactor(
        [Secret("password"), Secret("password-1"), Secret("my-password-1-of-many"), Secret("1-of-many!")]
    )
    assert redactor.redact(b"password-1 password-2") == b"********** ********-2"
    assert redactor.redact(b"my-password-1-of-many!") == b"*" * 22


def test_long_secrets_are_masked_piece_by_piece() -> None:
    """A key file is masked, also in base64 with line breaks, and costs no more than its length."""
    key = os.urandom(3000)
    redactor = Redactor([Secret(key)])
    assert set(redactor.redact(key)) == set(b"*")
    lines = redactor.redact(base64.encodebytes(key))
    assert lines.count(b"*") > 0.98 * len(lines)
    piece = redactor.redact(b"here: " + key[256:512])
    assert piece == b"here: " + b"*" * 256
    assert WHOLE < len(key) < MOST


def test_many_secrets_that_begin_alike_are_told_apart_quickly() -> None:
    """A thousand tokens of one issuer: each is masked, and text full of their common beginning takes no longer."""
    head = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    tokens = [Secret(head + hashlib.sha256(str(number).encode()).hexdigest()) for number in range(1000)]
    redactor = Redactor(tokens)
    text = b" ".join(each.raw for each in tokens)
    assert set(redactor.redact(text)) == set(b"* ")
    hostile = head.encode() * 1500
    assert redactor.redact(hostile) is hostile
    assert max(map(len, redactor._words.values())) < 20  # with their common beginning: 4000


@given(
    secret=secrets(most=24),
    places=st.lists(st.integers(0, HEAD + 2 * TAIL + 60), max_size=8),
    at=st.sampled_from([0, HEAD - 9, HEAD - 1, HEAD, HEAD + TAIL - 4, HEAD + 2 * TAIL]),
)
def test_a_bounded_output_is_clean_across_its_borders(secret: Secret, places: list[int], at: int) -> None:
    """Head, tail and digest are of the masked bytes, wherever the secret stands; size and value of those that came."""
    filler = b"." * (HEAD + 2 * TAIL + 9)
    text = filler[:at] + secret.raw + filler[at:]
    collector = Collector(len(text), Redactor([secret]))
    shown = b"".join([collector.add(chunk) for chunk in cut(text, places)]) + collector.rest()
    taken = collector.take()
    assert spoken(secret, shown) == spoken(secret, taken.data) == []
    assert taken == Output.of(shown)
    assert taken.size == len(text)
    assert collector.whole() == text
    assert collector.unmasked() == Output.of(text)


def test_the_digest_of_a_secret_does_not_tell_it() -> None:
    """Who guesses the secret cannot see from the record that the guess is right."""
    collector = Collector(0, Redactor([HUNTER]))
    collector.add(HUNTER.raw)
    assert collector.take().sha256 == hashlib.sha256(b"*" * len(HUNTER.raw)).hexdigest()


def test_a_collector_that_masks_nothing_keeps_one_copy() -> None:
    """Without secrets, and with secrets that do not come, the chunk itself is handed on."""
    chunk = b"all is well\n"
    for redactor in (None, Redactor(), Redactor([HUNTER])):
        collector = Collector(0, redactor)
        assert collector.add(chunk) is chunk
        assert collector.unmasked() is None
        assert collector.take() == Output.of(chunk)
