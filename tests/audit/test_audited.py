"""What takes part in an audit."""

import logging
from pathlib import Path

import numpy as np
import pytest

from earmark.audit.audited import Audited, audited_labels
from earmark.data.dataset import Dataset, write_dataset
from earmark.data.layers import GIVEN, read_layer
from earmark.data.ontology import audioset_ontology
from earmark.data.tables import LABEL_SCHEMA, columns_or_null
from earmark.errors import InputError
from tests.audit.shaky import NUM_CLIPS, TAGS, UNLABELLED, made_up_scores, tags_given, write_shaky_scores

ONTOLOGY = audioset_ontology()


def test_clips_that_nobody_labelled_take_no_part(audited: Audited) -> None:
    assert audited.rows.tolist() == [clip for clip in range(NUM_CLIPS) if clip != UNLABELLED]
    assert [set(audited.tags_of(place)) for place in range(NUM_CLIPS - 1)] == [
        tags_given(clip) for clip in range(NUM_CLIPS - 1)
    ]
    np.testing.assert_array_equal(audited.scores, made_up_scores()[audited.rows])
    assert audited.num_labels == sum(len(tags_given(clip)) for clip in range(NUM_CLIPS - 1))


def test_what_follows_from_a_given_tag_is_not_judged(audited: Audited) -> None:
    lacks_dog = [place for place in range(NUM_CLIPS - 1) if tags_given(place) == {"Bark"}]
    assert lacks_dog == [0, 4]
    assert np.argwhere(audited.implied).tolist() == [[place, TAGS.index("Dog")] for place in lacks_dog]
    assert (audited.judged == ~audited.implied).all()


def test_tags_that_nobody_annotated_take_no_part(shaky: Dataset, tmp_path: Path) -> None:
    other = write_dataset(
        tmp_path / "set",
        name="other",
        clips=shaky.clips,
        labels=read_layer(shaky.folder, GIVEN, shaky.clips, shaky.vocabulary),
        vocabulary=shaky.vocabulary,
        audio_root=shaky.audio_root,
        not_annotated=["Rain"],
    )
    found = audited_labels(other, write_shaky_scores(tmp_path / "scores", other), "given", ONTOLOGY)
    assert found.judged.any(axis=0).tolist() == [True, True, False, True]


def test_scores_of_a_model_that_learned_the_labels_are_warned_of(
    shaky: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = write_shaky_scores(tmp_path / "scores", shaky, out_of_fold=False)
    with caplog.at_level(logging.WARNING, "earmark"):
        audited_labels(shaky, store, "given", ONTOLOGY)
    assert "the model was trained on clips that it scores" in caplog.text


def test_there_must_be_labels(shaky: Dataset, tmp_path: Path) -> None:
    empty = write_dataset(
        tmp_path / "set", name="empty", clips=shaky.clips, labels=columns_or_null(0, LABEL_SCHEMA),
        vocabulary=shaky.vocabulary, audio_root=shaky.audio_root,
    )  # fmt: skip
    with pytest.raises(InputError, match='layer "given" must give tags to judge, of 59 labelled clips none has any'):
        audited_labels(empty, write_shaky_scores(tmp_path / "scores", empty), "given", ONTOLOGY)
