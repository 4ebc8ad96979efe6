"""Options that are not known, or would be passed over, are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError, MultilevelError

FORMULA = "Reaction ~ Days + (Days | Subject)"
CBPP = "cbind(incidence, size - incidence) ~ period + (1 | herd)"


@pytest.fixture(scope="module")
def data() -> Any:
    return ml.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def model(data: Any) -> Any:
    return ml.mixedlm(FORMULA, data)


@pytest.fixture(scope="module")
def result(model: Any) -> Any:
    return model.fit()


@pytest.fixture(scope="module")
def generalized() -> Any:
    return ml.mixedglm(CBPP, ml.datasets.load("cbpp"), family="binomial").fit()


@pytest.mark.parametrize("reml", ["ML", "REML", None, 2, [True]])
def test_reml_is_a_switch(model: Any, reml: Any) -> None:
    with pytest.raises(DataError, match="reml=.*reml=False fits by maximum likelihood"):
        model.fit(reml=reml)


@pytest.mark.parametrize("reml", [np.False_, 0])
def test_numbers_of_a_switch(model: Any, reml: Any) -> None:
    assert model.fit(reml=reml).criterion == "ML"


WITH_ALPHA: dict[str, Callable[[Any, Any], Any]] = {
    "conf_int": lambda result, alpha: result.conf_int(alpha),
    "summary": lambda result, alpha: result.summary(alpha),
    "components": lambda result, alpha: result.variance_components.to_frame(
        se=True, alpha=alpha
    ),
    "frame": lambda result, alpha: result.get_prediction().summary_frame(alpha),
    "prediction": lambda result, alpha: result.get_prediction().conf_int(alpha),
    "contrast": lambda result, alpha: result.t_test(np.eye(4)[0, : len(result.params)])
    .conf_int(alpha),
}  # fmt: skip


@pytest.mark.parametrize("alpha", [95, 0, 1, -0.05, 1.5, np.nan, "0.05", None, True])
@pytest.mark.parametrize("call", WITH_ALPHA)
def test_alpha_is_a_share(result: Any, generalized: Any, call: str, alpha: Any) -> None:
    for fitted in (result, generalized):
        with pytest.raises(DataError, match="alpha=.*one minus the coverage"):
            WITH_ALPHA[call](fitted, alpha)


def test_coverage_in_per_cent_is_told_how_to_write_it(result: Any) -> None:
    for alpha in (95, 5):
        with pytest.raises(DataError, match="give alpha=0.05 for limits of 95 %"):
            result.conf_int(alpha)


@pytest.mark.parametrize("random", [None, False, True, 0, 1.5, {"Subject": ["Days"]}])
@pytest.mark.parametrize("method", ["predict", "get_prediction"])
def test_random_names_factors(result: Any, method: str, random: Any) -> None:
    with pytest.raises(DataError, match="random="):
        getattr(result, method)(random=random)


@pytest.mark.parametrize("option", ["new_levels", "check"])
@pytest.mark.parametrize("rows", [None, 3])
@pytest.mark.parametrize("method", ["predict", "get_prediction"])
def test_words_of_predictions(
    result: Any, data: Any, method: str, rows: int | None, option: str
) -> None:
    new = None if rows is None else data.head(rows)
    for word in ("Raise", None, True):
        with pytest.raises(DataError, match=f"{option}=.*'raise'"):
            getattr(result, method)(new, **{option: word})


def test_offset_is_never_counted_twice(data: Any) -> None:
    formula = "Reaction ~ Days + offset(Days) + (1 | Subject)"
    result = ml.mixedlm(formula, data).fit()
    with pytest.raises(DataError, match=r"offset\(Days\) of the formula is computed"):
        result.predict(data, offset=np.ones(len(data)))
    with pytest.raises(DataError, match="without offset="):
        result.get_prediction(data, offset="Days")


@pytest.mark.parametrize("option", ["offset", "weights"])
def test_rows_of_the_fit_have_offsets_and_weights_of_their_own(
    result: Any, data: Any, option: str
) -> None:
    with pytest.raises(DataError, match=f"{option}= is for new rows"):
        result.get_prediction(**{option: np.ones(len(data))})


@pytest.mark.parametrize("nagq", [0, 1.5, "7", None, True, -3])
@pytest.mark.parametrize("method", ["loglike", "score", "hessian"])
def test_likelihoods_take_whole_numbers_of_nodes(
    generalized: Any, method: str, nagq: Any
) -> None:
    with pytest.raises(MultilevelError, match="nagq="):
        getattr(generalized.model, method)(generalized.full_params, nagq=nagq)


@pytest.mark.parametrize("params", [None, "a", [1, 2], [np.nan] * 6, [1j] * 6])
@pytest.mark.parametrize("method", ["loglike", "score", "hessian", "information"])
def test_likelihoods_take_numbers(model: Any, method: str, params: Any) -> None:
    with pytest.raises(MultilevelError, match="params"):
        getattr(model, method)(params)


@pytest.mark.parametrize("method", [["normal"], None, 3, "Satterthwaite"])
def test_methods_of_degrees_of_freedom(result: Any, method: Any) -> None:
    with pytest.raises(MultilevelError, match="ddf="):
        result.with_ddf(method)


@pytest.mark.parametrize("value", ["yes", None, 2])
def test_other_switches(model: Any, generalized: Any, value: Any) -> None:
    with pytest.raises(DataError, match="progress="):
        model.fit(progress=value)
    with pytest.raises(DataError, match="exponentiate="):
        generalized.summary(exponentiate=value)
    with pytest.raises(DataError, match="se="):
        generalized.variance_components.to_frame(se=value)


NO_WORDS: tuple[Any, ...] = ([], {}, ["response"], np.array(["response", "link"]), 1)
WITH_A_WORD: dict[str, Callable[[Any, Any], Any]] = {
    "predict": lambda result, word: result.predict(kind=word),
    "residuals": lambda result, word: result.get_residuals(word),
    "ddf": lambda result, word: result.with_ddf(word),
}


@pytest.mark.parametrize("word", NO_WORDS, ids=repr)
@pytest.mark.parametrize("call", WITH_A_WORD)
def test_what_is_no_text_is_no_word(
    result: Any, generalized: Any, call: str, word: Any
) -> None:
    for fit in (result, generalized):
        with pytest.raises(MultilevelError, match="not known|not available"):
            WITH_A_WORD[call](fit, word)


@pytest.mark.parametrize("seed", ["x", -1, 1.5, [0.5]])
def test_what_is_no_seed_is_shown(generalized: Any, seed: Any) -> None:
    with pytest.raises(DataError, match="seed=.* is no seed; give a whole number"):
        generalized.get_residuals("quantile", seed=seed)
