"""Settings from files: which file, which sentence where it is wrong, and what they are as words of a command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradflow.errors import UsageError
from gradflow.selection import Selection
from gradflow.settings import Key, Kind, Settings, read_settings

KEYS = (
    Key("format", "--format", Kind.TEXT, ("text", "json")),
    Key("steps", "--steps", Kind.WHOLE),
    Key("timeout", "--timeout", Kind.NUMBER),
    Key("verbose", "--verbose", Kind.FLAG),
    Key("graph", "--graph", Kind.FLAG),
    Key("baseline", "--baseline", Kind.PATH),
    Key("input", "--input", Kind.TEXTS),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_file_gives_no_settings(folder: Path) -> None:
    assert read_settings(folder / "src", KEYS) == Settings()


def test_the_table_of_pyproject_is_read_from_a_folder_below(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.gradflow]\nsteps = 5\nverbose = true\nselect = ["GF1"]\n', "utf-8")
    settings = read_settings(folder / "src" / "deep", KEYS)
    assert settings.file == "pyproject.toml"
    assert settings.values == {"steps": 5, "verbose": True}
    assert settings.selection == Selection(("GF1",), root=folder.as_posix(), working=folder.as_posix())


def test_a_pyproject_without_the_table_is_passed_over_and_the_nearest_file_counts_alone(folder: Path) -> None:
    (folder / "gradflow.toml").write_text("steps = 5\nverbose = true\n", "utf-8")
    (folder / "src" / "pyproject.toml").write_text('[project]\nname = "x"\n', "utf-8")
    assert read_settings(folder / "src", KEYS).values == {"steps": 5, "verbose": True}
    (folder / "src" / "gradflow.toml").write_text("steps = 7\n", "utf-8")
    settings = read_settings(folder / "src", KEYS)
    assert (settings.file, settings.values) == ("src/gradflow.toml", {"steps": 7})


def test_gradflow_toml_comes_before_pyproject_in_one_folder(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.gradflow]\nsteps = 5\n", "utf-8")
    (folder / "gradflow.toml").write_text("steps = 7\n", "utf-8")
    assert read_settings(folder, KEYS).values == {"steps": 7}


def test_selection_comes_with_files_of_its_own(folder: Path) -> None:
    (folder / "gradflow.toml").write_text('ignore = ["GF9"]\n[per-file-ignores]\n"legacy/*" = ["GF1", "GF301"]\n', "utf-8")
    selection = read_settings(folder, KEYS).selection
    assert (selection.ignore, selection.per_file) == (("GF9",), (("legacy/*", ("GF1", "GF301")),))


WRONG = {
    "unknown": ("step = 5", "`gradflow.toml`: there is no setting step; did you mean steps?"),
    "far from all": (
        "colour = 5",
        "`gradflow.toml`: there is no setting colour; there are baseline, format, graph, ignore, input, per-file-ignores, select, steps,"
        " timeout, verbose",
    ),
    "whole": ("steps = 2.5", "`gradflow.toml`: steps: expected a whole number, found 2.5"),
    "no bool for a number": ("timeout = true", "`gradflow.toml`: timeout: expected a number, found true"),
    "flag": ("verbose = 1", "`gradflow.toml`: verbose: expected true or false, found 1"),
    "string": ("baseline = 3", "`gradflow.toml`: baseline: expected a file name, found 3"),
    "choice": ('format = "yaml"', "`gradflow.toml`: format: expected one of text, json, found 'yaml'"),
    "list": ('input = "x=float32[2]"', "`gradflow.toml`: input: expected a list of strings, found 'x=float32[2]'"),
    "list of strings": ("ignore = [101]", "`gradflow.toml`: ignore: expected a list of strings, found [101]"),
    "code": ('select = ["E5"]', "`gradflow.toml`: select: expected a code or the beginning of one, as GF101 or GF1, found 'E5'"),
    "per file": ('per-file-ignores = ["a"]', "`gradflow.toml`: per-file-ignores: expected a table of file patterns, found ['a']"),
    "codes of a file": (
        '[per-file-ignores]\n"a.py" = "GF1"',
        "`gradflow.toml`: per-file-ignores.a.py: expected a list of strings, found 'GF1'",
    ),
}


@pytest.mark.parametrize(("text", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_one_sentence(text: str, sentence: str, folder: Path) -> None:
    (folder / "gradflow.toml").write_text(text + "\n", "utf-8")
    with pytest.raises(UsageError) as error:
        read_settings(folder, KEYS)
    assert str(error.value) == sentence


def test_the_sentence_names_the_table_in_pyproject(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("[tool.gradflow]\nsteps = 'x'\n", "utf-8")
    with pytest.raises(UsageError, match=r"^`pyproject.toml`: tool.gradflow.steps: expected a whole number, found 'x'$"):
        read_settings(folder / "src", KEYS)
    (folder / "pyproject.toml").write_text("[tool]\ngradflow = 3\n", "utf-8")
    with pytest.raises(UsageError, match=r"^`pyproject.toml`: expected a table at tool.gradflow, found 3$"):
        read_settings(folder, KEYS)


@pytest.mark.parametrize("data", [b"steps = \n", b"\xff\xfe"])
def test_what_is_no_toml_is_one_sentence(data: bytes, folder: Path) -> None:
    (folder / "gradflow.toml").write_bytes(data)
    with pytest.raises(UsageError, match=r"^`gradflow.toml` is no valid TOML: "):
        read_settings(folder, KEYS)


def test_settings_of_another_command_are_passed_over(folder: Path) -> None:
    (folder / "gradflow.toml").write_text("steps = 5\nfix = true\n", "utf-8")
    assert read_settings(folder, KEYS, also=("fix",)).values == {"steps": 5}


def test_settings_are_words_of_a_command_line_and_the_real_one_wins() -> None:
    settings = Settings("gradflow.toml", {"steps": 5, "verbose": True, "graph": False, "input": ("x=float32[1]", "y=int64[1]")})
    assert settings.words(KEYS) == ["--steps=5", "--verbose", "--input=x=float32[1]", "--input=y=int64[1]"]
    assert settings.words(KEYS, given=["--input", "--verbose"]) == ["--steps=5"]


def test_a_file_name_is_relative_to_the_folder_of_the_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "gradflow.toml").write_text('baseline = "known.json"\n', "utf-8")
    monkeypatch.chdir(folder / "src")
    assert read_settings(folder / "src", KEYS).values == {"baseline": (folder / "known.json").as_posix()}
    (folder / "src" / "deep" / "gradflow.toml").write_text('baseline = "known.json"\n', "utf-8")
    assert read_settings(folder / "src" / "deep", KEYS).values == {"baseline": "deep/known.json"}
