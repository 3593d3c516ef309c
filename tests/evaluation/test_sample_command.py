import numpy as np
import pytest
import torch
from PIL import Image

from mixnash.core.random import Purpose, stream
from mixnash.evaluation.load import load_run
from mixnash.evaluation.sample import main


def message_of(capsys, args):
    """Run the command, which must fail; its one line on stderr."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in args])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    return lines[0]


def sample(run, count, output, *more):
    main(["--run", str(run), "--num_samples", str(count), "--output", str(output), *more])


def drawn(run, count, seed=0, particle=None, averaged=True):
    loaded = load_run(run, None)
    return loaded.module.sample(count, stream(torch.device("cpu"), seed, Purpose.EVALUATION), particle, averaged)


def test_array_file_holds_the_samples_that_evaluation_scores(mixture_run, tmp_path, capsys):
    path = tmp_path / "new" / "x.npz"
    sample(mixture_run, 70, path, "--seed", "5", "--raw")
    expected = drawn(mixture_run, 70, seed=5, averaged=False)
    with np.load(path) as found:
        assert set(found) == {"samples", "particle"}
        assert (found["samples"].dtype, found["samples"].shape) == (np.float32, (70, 2))
        assert (found["particle"].dtype, found["particle"].shape) == (np.int64, (70,))
        assert np.array_equal(found["samples"], expected.values.numpy())
        assert np.array_equal(found["particle"], expected.particle.numpy())
        assert len(set(found["particle"].tolist())) == 3
    assert f"samples: {path} (70)" in capsys.readouterr().out


def test_one_particle_is_all_there_is_when_asked_for(mixture_run, tmp_path):
    sample(mixture_run, 20, tmp_path / "x.npz", "--particle", "2")
    with np.load(tmp_path / "x.npz") as found:
        assert found["particle"].tolist() == [2] * 20


def test_array_file_of_images_keeps_their_shape(digits_run, tmp_path):
    sample(digits_run, 4, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as found:
        assert found["samples"].shape == (4, 1, 8, 8)


def test_table_of_points_reads_back_exactly(mixture_run, tmp_path):
    sample(mixture_run, 30, tmp_path / "x.csv")
    lines = (tmp_path / "x.csv").read_text().splitlines()
    expected = drawn(mixture_run, 30)
    assert lines[0] == "x,y,particle"
    points = np.array([line.split(",")[:2] for line in lines[1:]], dtype=np.float32)
    assert np.array_equal(points, expected.values.numpy())
    assert [int(line.split(",")[2]) for line in lines[1:]] == expected.particle.tolist()


def test_folder_of_images_holds_one_grey_file_per_sample(digits_run, tmp_path):
    sample(digits_run, 12, tmp_path / "images", "--seed", "3")
    expected = drawn(digits_run, 12, seed=3)
    pixels_of = ((expected.values + 1) * 127.5).round().clamp(0, 255)
    names = sorted(path.name for path in (tmp_path / "images").iterdir())
    assert names == [f"{index:05d}_particle_{k}.png" for index, k in enumerate(expected.particle.tolist())]
    for name, pixels in zip(names, pixels_of[:, 0].numpy(), strict=True):
        with Image.open(tmp_path / "images" / name) as image:
            assert (image.mode, image.size) == ("L", (8, 8))
            assert np.array_equal(np.asarray(image), pixels)


def test_existing_samples_are_left_alone_unless_overwritten(mixture_run, tmp_path, capsys):
    path = tmp_path / "x.npz"
    path.write_text("precious")
    words = ["--run", mixture_run, "--num_samples", 5, "--output", path]
    assert "is there already and is left untouched" in message_of(capsys, words)
    assert path.read_text() == "precious"
    sample(mixture_run, 5, path, "--overwrite")
    with np.load(path) as found:
        assert len(found["samples"]) == 5


def test_folder_with_content_is_left_alone_and_overwriting_replaces_numbered_images_only(digits_run, tmp_path, capsys):
    folder = tmp_path / "images"
    folder.mkdir()
    sample(digits_run, 6, folder)  # an empty folder is free
    (folder / "notes.txt").write_text("kept")
    (folder / "photo.png").write_text("kept")
    assert "left untouched" in message_of(capsys, ["--run", digits_run, "--num_samples", 2, "--output", folder])
    assert len(list(folder.iterdir())) == 8
    (folder / "00007.png").write_text("kept")  # a number alone may be anybody's
    sample(digits_run, 2, folder, "--overwrite")
    of = drawn(digits_run, 2).particle.tolist()
    ours = [f"0000{index}_particle_{k}.png" for index, k in enumerate(of)]
    assert sorted(path.name for path in folder.iterdir()) == [*ours, "00007.png", "notes.txt", "photo.png"]


def test_formats_that_do_not_fit_are_refused(mixture_run, digits_run, tmp_path, capsys):
    points, images = ["--run", mixture_run, "--output"], ["--run", digits_run, "--output"]
    assert "to a .npz, .csv or .png file or to a folder" in message_of(capsys, [*points, tmp_path / "x.txt"])
    assert "Only grey or RGB images" in message_of(capsys, [*points, tmp_path / "folder"])
    assert "holds points of the plane, found samples of shape [1, 8, 8]" in message_of(
        capsys, [*images, tmp_path / "x.csv"]
    )
    assert not list(tmp_path.iterdir())


def test_bad_numbers_are_refused(mixture_run, tmp_path, capsys):
    words = ["--run", mixture_run, "--output", tmp_path / "x.npz"]
    assert "At least one sample must be asked for" in message_of(capsys, [*words, "--num_samples", 0])
    assert "no particle 3" in message_of(capsys, [*words, "--particle", 3])
    assert not list(tmp_path.iterdir())


def test_output_below_a_file_is_refused(mixture_run, tmp_path, capsys):
    (tmp_path / "file").touch()
    words = ["--run", mixture_run, "--num_samples", 2, "--output", tmp_path / "file" / "x.npz"]
    assert "cannot be written" in message_of(capsys, words)


def test_output_is_required(mixture_run, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--run", str(mixture_run)])
    assert stop.value.code == 2
    assert "--output" in capsys.readouterr().err
