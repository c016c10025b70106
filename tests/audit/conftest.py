"""The shaky data set and its scores, made once."""

from pathlib import Path

import pytest

from earmark.audit.audited import Audited, audited_labels
from earmark.data.dataset import Dataset
from earmark.data.ontology import audioset_ontology
from earmark.scores.store import ScoreStore
from tests.audit.shaky import write_shaky, write_shaky_scores


@pytest.fixture(scope="session")
def shaky(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_shaky(tmp_path_factory.mktemp("shaky"))


@pytest.fixture(scope="session")
def shaky_scores(shaky: Dataset, tmp_path_factory: pytest.TempPathFactory) -> ScoreStore:
    return write_shaky_scores(tmp_path_factory.mktemp("scores") / "scores", shaky)


@pytest.fixture(scope="session")
def audited(shaky: Dataset, shaky_scores: ScoreStore) -> Audited:
    return audited_labels(shaky, shaky_scores, "given", audioset_ontology())


@pytest.fixture
def own_copy(tmp_path: Path) -> tuple[Dataset, ScoreStore]:
    """A data set to write layers into."""
    dataset = write_shaky(tmp_path / "own")
    return dataset, write_shaky_scores(tmp_path / "own-scores", dataset)
