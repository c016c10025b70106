import pytest

from earmark.files import read_json, write_json, written_aside


def test_a_broken_write_leaves_the_old_file_and_no_other(tmp_path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        write_json(path, {"a": float("nan")})
    with pytest.raises(UnicodeEncodeError), written_aside(path) as aside:
        aside.write_text("half \ud800", "utf-8")
    assert read_json(path) == {"a": 1}
    assert [found.name for found in tmp_path.iterdir()] == ["a.json"]
