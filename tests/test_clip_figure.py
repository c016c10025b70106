"""A clip's picture, sound and events show what is in the recording and in the labels."""

import base64
import io

import numpy as np
import pytest
import soundfile

from earmark import clip_figure as module
from earmark.clip_figure import (
    MOST_FRAMES,
    RATE_HZ,
    clip_figure,
    clip_row,
    clip_waveform,
    labelled_events,
    log_mel_picture,
)
from earmark.data.dataset import open_dataset
from earmark.data.importing import import_dataset
from earmark.errors import InputError
from earmark.figures import Event, Series
from earmark.reports.render import figure_html
from tests.relabel.scenes import write_scenes

WORDS = {"title": "t", "caption": "c.", "alt": "a"}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("scenes"))


def test_picture_shows_a_tone_where_and_when_it_is(scenes):
    figure = clip_figure(scenes, 0, clip_waveform(scenes, 0), **WORDS)
    picture = np.array(figure.log_mel)
    assert (figure.clip, figure.duration_s, picture.shape) == ("dogs", 2.5, (64, 251))
    # 1 kHz is mel 1000 of 2840, and the lowest band stands first; the tone sounds from 1 to 1.5 s.
    band = picture.max(axis=1).argmax()
    assert abs(band - 1000 / 2840 * 64) < 2
    assert picture.max() == 255
    loud = np.flatnonzero(picture[band] > 200) / 100
    assert loud.min() == pytest.approx(1, abs=0.03)
    assert loud.max() == pytest.approx(1.5, abs=0.03)
    assert (picture[:, :90] == 0).all()


def test_levels_are_decibels_under_the_loudest_cell():
    time_s = np.arange(RATE_HZ) / RATE_HZ
    tone = np.sin(2 * np.pi * 1000 * time_s) * np.where(time_s < 0.5, 1, 0.01)
    picture = log_mel_picture((20_000 * tone).astype(np.int16))
    row = picture[picture.max(axis=1).argmax()]
    # 40 of the 80 dB that the grey levels span.
    assert row[25] == 255
    assert row[75] == pytest.approx(127.5, abs=2)


def test_quiet_is_not_made_loud():
    noise = np.random.default_rng(0).integers(-1, 2, RATE_HZ).astype(np.int16)
    assert log_mel_picture(noise).max() < 200
    assert log_mel_picture(np.zeros(10, np.int16)).max() == 0


def test_long_clips_keep_their_clicks_in_few_frames():
    waveform = np.zeros(60 * RATE_HZ, np.int16)
    waveform[40 * RATE_HZ] = 30_000
    picture = log_mel_picture(waveform)
    assert picture.shape[1] <= MOST_FRAMES
    loud = np.flatnonzero(picture.max(axis=0) > 200)
    assert len(loud) == 1
    assert loud[0] * 60 / picture.shape[1] == pytest.approx(40, abs=0.2)


def test_sound_is_the_clips(scenes):
    waveform = clip_waveform(scenes, 0)
    heard, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(clip_figure(scenes, 0, waveform, **WORDS).audio)))
    assert rate_hz == RATE_HZ
    assert len(heard) == len(waveform)
    assert np.corrcoef(heard, waveform)[0, 1] > 0.99


def test_a_long_clip_has_no_sound_and_says_so(scenes, monkeypatch):
    monkeypatch.setattr(module, "MOST_AUDIO_S", 2.0)
    figure = clip_figure(scenes, 0, clip_waveform(scenes, 0), **WORDS)
    assert figure.audio is None
    assert figure.caption == "c. Without its sound, which is longer than 2 s."


def test_events_are_strong_labels_in_force(scenes):
    bark, tick = Event(tag="Bark", onset=0.5, offset=1.0), Event(tag="Tick", onset=1.5, offset=2.5)
    assert labelled_events(scenes, 0) == [bark, tick]
    assert labelled_events(scenes, 1) == []
    curves = [Series(label="Bark", x=[0.0, 1.0], y=[0.1, 0.2])]
    figure = clip_figure(scenes, 0, clip_waveform(scenes, 0), curves=curves, estimated=[tick], **WORDS)
    assert (figure.reference, figure.estimated, figure.curves) == ([bark, tick], [tick], curves)
    assert "data:audio/mpeg;base64," in figure_html(figure, "clip")


def test_a_clip_within_a_recording(class_folders, tmp_path):
    import_dataset(class_folders, tmp_path / "set", clip_s=0.25)
    dataset = open_dataset(tmp_path / "set")
    row = int(np.flatnonzero(dataset.column("onset") == 0.5)[0])
    whole = soundfile.read(dataset.audio_path(row), dtype="int16")[0]
    np.testing.assert_array_equal(clip_waveform(dataset, row), whole[RATE_HZ // 2 : RATE_HZ * 3 // 4])


def test_clips_that_cannot_be_shown(tmp_path):
    scenes = write_scenes(tmp_path)
    assert clip_row(scenes, "yard") == 2
    with pytest.raises(InputError, match='there is no clip "yards"; did you mean "yard"'):
        clip_row(scenes, "yards")
    path = scenes.audio_path(1)
    path.write_bytes(b"no sound")
    with pytest.raises(InputError, match=r"hall.wav: the clip cannot be shown, unreadable"):
        clip_waveform(scenes, 1)
    path.unlink()
    with pytest.raises(InputError, match=r"hall.wav: the clip cannot be shown, missing"):
        clip_waveform(scenes, 1)
