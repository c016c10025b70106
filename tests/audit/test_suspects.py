"""Which labels are listed, in what order, and what an ontology says of them."""

import dataclasses

import numpy as np

from earmark.audit.audited import Audited
from earmark.audit.noise import estimate_noise
from earmark.audit.suspects import KINDS, Suspects, find_suspects, remarks
from earmark.audit.suspicion import Odds, fit_odds
from tests.audit.shaky import PLANTED, TAGS


def odds_of(audited: Audited) -> Odds:
    noise = estimate_noise(audited.given, audited.judged, audited.scores, audited.groups, resamples=2)
    return fit_odds(audited.given, audited.judged, audited.scores, noise.wrong_rate, noise.missing_rate)


def said(suspects: Suspects) -> dict[tuple[int, str], str]:
    return {
        (place, TAGS[tag]): KINDS[kind]
        for place, tag, kind in zip(suspects.place, suspects.tag, suspects.kind, strict=True)
    }


def test_all_planted_errors_are_found_and_what_is_implied_comes_last(audited: Audited) -> None:
    found = find_suspects(audited, odds_of(audited), 0.5)
    assert said(found) == {**PLANTED, (0, "Dog"): "implied", (4, "Dog"): "implied"}
    assert [KINDS[kind] for kind in found.kind[-2:]] == ["implied"] * 2
    first = found.suspicion[: len(PLANTED)]
    assert (np.diff(first) <= 0).all()
    assert (first > 0.5).all()
    assert [found.count(kind) for kind in range(3)] == [3, 2, 2]
    assert found.by_tag(0, 4).tolist() == [0, 1, 1, 1]


def test_a_suspect_lies_beyond_its_threshold(audited: Audited) -> None:
    found = find_suspects(audited, odds_of(audited), 0.5)
    under = found.score < found.threshold
    assert (under == (found.kind == 0)).all()
    np.testing.assert_array_equal(found.score, audited.scores[found.place, found.tag])


def test_a_lower_probability_lists_more_and_the_same_first(audited: Audited) -> None:
    shaky_scores = np.clip(audited.scores + np.random.default_rng(0).normal(0, 0.25, audited.scores.shape), 0, 1)
    other = dataclasses.replace(audited, scores=shaky_scores.astype(np.float32))
    strict, usual, lax = (find_suspects(other, odds_of(other), least) for least in (0.9, 0.5, 0.1))
    assert len(strict) < len(usual) < len(lax)
    errors = len(strict) - strict.count(2)
    np.testing.assert_array_equal(strict.place[:errors], lax.place[:errors])
    assert lax.suspicion.min() >= 0.1


def test_blocks_make_no_difference(audited: Audited, monkeypatch) -> None:
    whole = find_suspects(audited, odds_of(audited), 0.01)
    monkeypatch.setattr("earmark.audit.suspects.BLOCK", 7)
    parts = find_suspects(audited, odds_of(audited), 0.01)
    for field in dataclasses.fields(Suspects):
        np.testing.assert_array_equal(getattr(whole, field.name), getattr(parts, field.name))


def test_what_the_ontology_says_stands_beside(audited: Audited) -> None:
    given, scores = audited.given.copy(), audited.scores.copy()
    # Clip 8 barks; it is said to be a dog, and not a bark. Clip 12 is said to bark, and it is some other dog.
    given[8] = [False, True, False, False]
    given[12] = [True, False, False, False]
    scores[12] = [0.05, 0.85, 0.01, 0.1]
    other = dataclasses.replace(audited, given=given, scores=scores)
    found = find_suspects(other, odds_of(other), 0.5)
    texts = dict(zip(said(found), remarks(found, other), strict=True))
    assert texts[8, "Bark"] == 'more precise than the given "Dog"'
    assert texts[12, "Bark"] == '"Dog", above it in the ontology, scores 0.85 and is not given'
    assert texts[0, "Dog"] == 'follows from the given "Bark"'
    assert texts[3, "Rain"] == ""


def test_there_may_be_none(audited: Audited) -> None:
    silent = Odds(np.zeros(4), np.zeros(4), 0.1, 0.1)
    found = find_suspects(audited, silent, 0.01)
    assert len(found) == 0
    assert remarks(found, audited) == []
