"""The command line, in this process and as a program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import multilevel as ml
from multilevel.cli.commands import main

SLEEP = "Reaction ~ Days + (Days | Subject)"


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "multilevel", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture
def sleep_csv(tmp_path: Path) -> Path:
    path = tmp_path / "sleep.csv"
    ml.datasets.load("sleepstudy").to_csv(path, index=False)
    return path


def test_program_prints_the_summary_and_exits_with_0() -> None:
    done = run("fit", SLEEP, "sleepstudy")
    assert (done.returncode, done.stderr) == (0, "")
    expected = ml.mixedlm(SLEEP, ml.datasets.load("sleepstudy")).fit().summary()
    # The header may carry the time of day; the coefficients do not.
    assert [line for line in str(expected).splitlines() if "Days" in line] == [
        line for line in done.stdout.splitlines() if "Days" in line
    ]


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"multilevel {ml.__version__}\n")


def test_bad_formula_shows_the_place_without_a_traceback() -> None:
    done = run("fit", "math ~ ses + (ses | scool)", "hsb")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("multilevel: ")
    assert "scool" in done.stderr
    assert "^^^^^" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["fit", SLEEP, "sleep"], "did you mean 'sleepstudy'"),
        (["fit", SLEEP, "absent.csv"], "there is no file 'absent.csv'"),
        (["fit", SLEEP, "absent.parquet"], "there is no file 'absent.parquet'"),
        (["fit", SLEEP, "sleepstudy", "--weights", "nothing"], "nothing"),
        (["datasets", "hbs"], "did you mean 'hsb'"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [[], ["fit"], ["fit", SLEEP], ["guess"]])
def test_missing_words_are_refused_in_one_line(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00bad", b'a,b\n1,2\n"3,4\n5,6,7'])
def test_unreadable_file_is_bad_input(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    assert main(["fit", "b ~ 1 + (1 | a)", str(path)]) == 2
    assert f"multilevel: cannot read {str(path)!r}: " in capsys.readouterr().err


def test_file_of_unknown_format_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sleep.txt"
    path.write_text("a b")
    assert main(["fit", SLEEP, str(path)]) == 2
    assert "cannot tell the format" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_formats_of_files(
    ending: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, data = tmp_path / f"sleep{ending}", ml.datasets.load("sleepstudy")
    if ending == ".parquet":
        data.to_parquet(path)
    else:
        data.to_csv(path, index=False)
    assert main(["fit", SLEEP, str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fit"]["llf"] == pytest.approx(
        -871.814136, abs=1e-6
    )


def test_json_holds_what_the_result_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", SLEEP, "sleepstudy", "--ml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    result = ml.mixedlm(SLEEP, ml.datasets.load("sleepstudy")).fit(reml=False)
    intercept, days = document["fixed_effects"]
    assert intercept["name"] == "Intercept"
    assert days["name"] == "Days"
    assert days["estimate"] == result.params["Days"]
    assert days["se"] == result.bse["Days"]
    assert days["pvalue"] == result.pvalues["Days"]
    assert document["criterion"] == "ML"
    assert document["formula"] == SLEEP
    assert document["nobs"] == 180
    assert document["groups"] == {"Subject": 18}
    assert document["sigma"] == result.sigma
    assert document["fit"]["deviance"] == pytest.approx(1751.93934, abs=1e-5)
    assert document["convergence"]["converged"] is True
    assert document["convergence"]["is_singular"] is False
    assert document["compare_pooled"]["pvalue"] == result.compare_pooled().pvalue
    sd = [row["sdcor"] for row in document["variance_components"]]
    assert sd[0] == pytest.approx(23.780, abs=1e-3)


def test_json_has_no_nan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ml.datasets.load("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    path = tmp_path / "aliased.csv"
    data.to_csv(path, index=False)
    with pytest.warns(Warning, match="twice"):
        ml.mixedlm("Reaction ~ Days + twice + (1 | Subject)", data).fit()
    done = run("fit", "Reaction ~ Days + twice + (1 | Subject)", str(path), "--json")
    assert done.returncode == 0
    assert "multilevel: warning: " in done.stderr
    aliased = json.loads(done.stdout)["fixed_effects"][2]
    assert aliased["name"] == "twice"
    assert aliased["estimate"] is None


def test_weights_are_a_column(
    sleep_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weighted = pd.read_csv(sleep_csv).assign(trust=lambda data: data["Days"] + 1)
    weighted.to_csv(sleep_csv, index=False)
    assert main(["fit", SLEEP, str(sleep_csv), "--weights", "trust", "--json"]) == 0
    llf = json.loads(capsys.readouterr().out)["fit"]["llf"]
    assert llf == ml.mixedlm(SLEEP, weighted, weights="trust").fit().llf


def test_saved_result_can_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sleep.fit"
    assert main(["fit", SLEEP, "sleepstudy", "--save", str(path)]) == 0
    assert "Days" in capsys.readouterr().out
    assert ml.load(path).llf == pytest.approx(-871.814136, abs=1e-6)


def test_saving_into_nowhere_is_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = str(tmp_path / "absent" / "sleep.fit")
    assert main(["fit", SLEEP, "sleepstudy", "--save", place]) == 2
    assert "No such file or directory" in capsys.readouterr().err


def test_fit_that_did_not_converge_is_printed_with_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unfinished:
        converged = False

        def summary(self) -> str:
            return "the summary"

    monkeypatch.setattr("multilevel.cli.commands._fitted", lambda _: Unfinished())
    assert main(["fit", SLEEP, "sleepstudy"]) == 1
    assert capsys.readouterr().out == "the summary\n"


def test_datasets_lists_and_describes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == (
        ml.datasets.names()
    )
    assert main(["datasets", "hsb"]) == 0
    assert ml.datasets.describe("hsb") in capsys.readouterr().out


USE = "use ~ age + urban + (1 | district)"


def test_a_generalized_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", USE, "contraception", "--family", "binomial"]) == 0
    out, err = capsys.readouterr()
    data = ml.datasets.load("contraception")
    assert out == f"{ml.mixedglm(USE, data, family='binomial').fit().summary()}\n"
    assert err == ""


def test_quadrature_link_and_odds_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", USE, "contraception", "--family", "binomial", "--nagq", "5"]
    assert main([*words, "--exponentiate"]) == 0
    text = capsys.readouterr().out
    assert "5 nodes" in text
    assert "odds ratios" in text
    assert main([*words, "--link", "probit", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["criterion"], document["link"]) == ("AGQ(5)", "probit")
    assert document["dispersion"] is None
    assert "sigma" not in document


def test_a_link_for_an_estimated_dispersion(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["fit", "y ~ 1 + (1 | subject)", "epil", "--family", "negativebinomial"]
    place = str(tmp_path / "fit")
    assert main([*words, "--link", "sqrt", "--json", "--save", place]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["dispersion"] > 0
    again = ml.load(place)
    assert again.dispersion == document["dispersion"]
    assert again.family.link.name == "sqrt"
    assert again.pooled.params.shape == (1,)


def test_trials_by_weights(capsys: pytest.CaptureFixture[str]) -> None:
    formula = "incidence / size ~ period + (1 | herd)"
    words = ["fit", formula, "cbpp", "--family", "binomial", "--weights", "size"]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["fit"]["llf"] == pytest.approx(-92.0262818714972, abs=1e-6)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--family", "tweedie"], "is not one of"),
        (["--family", "binomial", "--link", "lozenge"], "link 'lozenge' is not one of"),
        (["--family", "binomial", "--ml"], "--ml has no meaning with --family"),
        (["--nagq", "5"], "--nagq needs --family"),
        (["--link", "log"], "--link needs --family"),
        (["--exponentiate"], "--exponentiate needs --family"),
        (
            ["--family", "binomial", "--link", "probit", "--exponentiate"],
            "no meaning for the probit link",
        ),
        (["--family", "binomial", "--nagq", "0"], "nagq=0"),
        (["--family", "poisson"], "holds no numbers"),
    ],
)
def test_options_that_do_not_go_together(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", USE, "contraception", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("place", ["absent/a.fit", ""])
def test_a_place_that_cannot_be_written_is_found_before_the_fit(
    place, tmp_path, capsys, monkeypatch
):
    def fit(*args, **options):
        raise AssertionError("it was fitted first")

    monkeypatch.setattr("multilevel.models.mixedlm.MixedLM.fit", fit)
    path = str(tmp_path / place)
    assert main(["fit", SLEEP, "sleepstudy", "--save", path]) == 2
    said = capsys.readouterr().err
    assert "a.fit" in said or "is a folder" in said


def test_a_fit_that_cannot_be_saved_is_printed(tmp_path, capsys, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("multilevel.results.mixed_results.MixedResults.save", full)
    path = tmp_path / "a.fit"
    assert main(["fit", SLEEP, "sleepstudy", "--save", str(path)]) == 2
    printed = capsys.readouterr()
    assert "Days" in printed.out
    assert "could not be saved" in printed.err
    assert "No space left on device" in printed.err
    assert not path.exists()
