"""What a run of an older version may go on with, and what no run can learn from."""

import json
from pathlib import Path

import pytest
import soundfile

from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.errors import InputError
from earmark.recipes import find_recipe
from earmark.recipes.job import Request
from earmark.recipes.run import run_recipe
from tests.conftest import RATE_HZ, TAGS, sound

SMALL = {"backbone": "crnn_small", "pretrained": None, "epochs": 1, "batch_size": 8, "warmup_steps": 0}


def test_a_run_of_an_older_version_goes_on(small_dataset: Path, tmp_path: Path) -> None:
    asked = {"dataset": open_dataset(small_dataset), "run": tmp_path / "run", "test_fold": 1, "validation_fold": 2}
    run_recipe(find_recipe("baseline"), Request(**asked), SMALL)
    path = tmp_path / "run" / "settings.json"
    record = json.loads(path.read_text())
    for name in ("learn_from", "min_chunk_s"):
        del record["settings"][name], record["defaults"][name]
    del record["teacher"]
    path.write_text(json.dumps(record))
    run_recipe(find_recipe("baseline"), Request(**asked, resume=True), SMALL)
    chunks = {"learn_from": "chunks", "chunk_s": 0.5}
    with pytest.raises(InputError, match=r"was begun with chunk_s=None \(now 0.5\), learn_from=windows \(now chunks\)"):
        run_recipe(find_recipe("baseline"), Request(**asked, resume=True), SMALL | chunks)


@pytest.mark.parametrize(("recipe", "settings"), [("baseline", {}), ("psl", {"alpha": 0})])
def test_clips_without_labels_are_learned_from_by_nobody(tmp_path: Path, recipe: str, settings: dict) -> None:
    (tmp_path / "audio").mkdir()
    rows = ["path,tags,split,labelled"]
    for index in range(12):
        tag, trained = TAGS[index % 3], index < 6
        soundfile.write(tmp_path / "audio" / f"{index}.wav", sound(tag, index), RATE_HZ)
        rows.append(f"audio/{index}.wav,{',train,none' if trained else f'{tag},validation,weak'}")
    (tmp_path / "list.csv").write_text("\n".join(rows) + "\n")
    import_dataset(tmp_path / "list.csv", tmp_path / "set")
    request = Request(dataset=open_dataset(tmp_path / "set"), run=tmp_path / "run")
    settings = {key: value for key, value in SMALL.items() if recipe == "baseline" or key != "warmup_steps"} | settings
    with pytest.raises(InputError, match=r"the train split of set must hold clips with labels to learn from"):
        run_recipe(find_recipe(recipe), request, settings)
