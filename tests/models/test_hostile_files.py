"""Files of strangers: a checked fit or a `DataError`, and no code of theirs."""

from __future__ import annotations

import time
import warnings

import pandas as pd
import pytest
from saved_archives import expressions_in, rewritten

import multilevel as ml
from multilevel.errors import DataError

CANARIES = [
    "__import__('pathlib').Path('{place}').touch()",
    "Days + __import__('os').system('touch {place}')",
    'Days[(exec(\'open("{place}", "w")\'), slice(None))[1]]',
    "open('{place}', 'w')",
    "Days.map(eval)",
    "Days.to_csv('{place}')",
    "Days.to_pickle('{place}')",
    "np.save('{place}', Days)",
    "np.asarray(Days).tofile('{place}')",
    "np.lib.format.open_memmap('{place}', 'w+', 'f8', (1,))",
    "pd.read_pickle('{place}')",
    "pd.eval('1')",
    "(lambda: open('{place}', 'w'))()",
    "[open(p, 'w') for p in ['{place}']]",
    "Days.__class__.__mro__",
    "Days.pipe(print)",
    "getattr(Days, 'to_csv')('{place}')",
    "C(Days, contrast=open('{place}', 'w'))",
    "np.where(Days > 1, open('{place}', 'w'), 0)",
    'f\'{{open("{place}", "w")}}\'',
    "I(Days)(open('{place}', 'w'))",
    "np.log(Days, Days)",
    "np.log(Days, out=Days)",
    "Days.fillna(0, inplace=True)",
    "(Days := 3)",
    "ml.load('{place}')",
]
BOMBS = [
    "Days + 9**9**9",
    "Days ** 9**9",
    "Days ** 1000000",
    "'a' * 10**10",
    "Days * (10**10)",
    "'%1000000000d' % Days",
    "[0] * 10**9",
    "1 << 10**9",
    "bs(Days, df=10**8)",
    "bs(Days, df=100000000)",
    "poly(Days, 100000000)",
    "pd.cut(Days, 1000000000)",
    "np.zeros(10**10)",
    "np.tile(Days, 10**9)",
    "Days.repeat(10**9)",
    "Days.str.repeat(10**9)",
    "Days.str.contains('(a+)+$')",
    "Days" + " + Days" * 200_000,
    "(" * 5000 + "Days" + ")" * 5000,
    "-" * 15_000 + "Days",
    "np.log(" * 500 + "Days" + ")" * 500,
    "Days" + ".dt" * 3000,
    "Days if Days else 0",
    "Days @ Days",
    "9" * 10_000,
    "Days + \x00",
    "",
]


@pytest.mark.parametrize("number", range(len(CANARIES)))
def test_no_expression_of_a_file_runs_code(saved, tmp_path, number):
    place = tmp_path / "canary"
    code = CANARIES[number].format(place=place)

    def plant(header):
        for parts in expressions_in(header):
            if parts["code"] == "Days":
                parts["code"], parts["column"] = code, None
                parts["functions"] = {"dict": []}

    path = rewritten(saved["linear"], tmp_path / "bad.fit", plant)
    with pytest.raises(DataError, match="closed list"):
        ml.load(path)
    assert not place.exists()


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_an_expression_cannot_take_time_or_memory(saved, tmp_path, number):
    def plant(header):
        for parts in expressions_in(header):
            parts["code"], parts["column"] = BOMBS[number], None
            parts["functions"] = {"dict": []}

    path = rewritten(saved["linear"], tmp_path / "bad.fit", plant)
    start = time.process_time()
    with pytest.raises(DataError):
        ml.load(path)
    assert time.process_time() - start < 5.0


LISTED = (
    "np.log(Days + 1)",
    "I(Days**2)",
    "C(Days, Treatment(reference=1))",
    "C(Days, Sum)",
    "factor(Days)",
    "poly(Days, 2)",
    "bs(Days, df=4)",
    "center(Days)",
    "np.where(Days > 4, Days - 4, 0)",
    "pd.cut(Days, [-1, 3, 9], labels=['a', 'b'])",
    "np.clip(Days, 1, 5)",
    "Days.astype(float)",
    "Days.between(2, 5)",
    "I((Days - Days.mean()) / Days.std())",
    "I(np.minimum(Days, 3) * -1.5)",
    "Days.rank()",
    "I((Days > 3) & (Days < 8))",
)


@pytest.mark.parametrize("code", LISTED)
def test_what_models_are_made_of_needs_no_trust(sleep, tmp_path, code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.errors.RankDeficiencyWarning)
        result = ml.mixedlm(f"Reaction ~ {code} + (1 | Subject)", sleep).fit()
    result.save(tmp_path / "a.fit")
    again = ml.load(tmp_path / "a.fit")
    pd.testing.assert_series_equal(again.params, result.params)


def test_code_beyond_the_list_needs_trust(sleep, tmp_path):
    formula = "Reaction ~ Days.map(lambda_free) + (1 | Subject)"

    def lambda_free(x):
        return x * 2.0

    result = ml.mixedlm(formula, sleep).fit()
    result.save(tmp_path / "a.fit")
    with pytest.raises(DataError, match="trust=True"):
        ml.load(tmp_path / "a.fit")
    again = ml.load(tmp_path / "a.fit", trust=True)
    pd.testing.assert_series_equal(again.predict(sleep), result.predict(sleep))


def test_a_function_of_the_caller_is_not_taken_for_the_packages_own(sleep, tmp_path):
    namespace = {"__name__": "program", "data": sleep}
    exec("def scale(x):\n    return x / 100.0\n", namespace)
    exec(
        "import multilevel\nresult = multilevel.mixedlm("
        "'Reaction ~ scale(Days) + (1 | Subject)', data).fit()",
        namespace,
    )
    namespace["result"].save(tmp_path / "a.fit")
    with pytest.raises(DataError, match="scale"):
        ml.load(tmp_path / "a.fit")
    with pytest.raises(DataError, match="scale"):
        ml.load(tmp_path / "a.fit", trust=True)
