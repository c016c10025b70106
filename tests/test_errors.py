from earmark.errors import did_you_mean, first_few


def test_case_does_not_hide_the_nearest_name() -> None:
    assert did_you_mean("dog bark", ["Dog bark", "Rain"]) == '; did you mean "Dog bark"?'


def test_without_known_names_it_says_so() -> None:
    assert did_you_mean("x", []) == "; none are known"


def test_first_few_counts_the_rest() -> None:
    assert first_few("abc", limit=2) == "a, b and 1 more"
    assert first_few("ab", limit=2) == "a, b"
