"""The catalogue: one record per data set; those of discrete responses in a second file.

Held by tests/datasets/test_loading.py.
"""

from __future__ import annotations

from multilevel.datasets.catalogue_discrete import (
    BACTERIA,
    CBPP,
    CONTRACEPTION,
    EPIL,
    GROUSETICKS,
    NUMBERED,
    VERBAGG,
)
from multilevel.datasets.records import Column, DataSet

NO_YES = ("0", "1")

HSB = DataSet(
    name="hsb",
    title="Mathematics achievement in 160 schools (High School and Beyond)",
    file="hsb.csv.gz",
    n_rows=7185,
    columns=(
        Column("school", "school", levels=NUMBERED),
        Column("math", "score in a test of mathematics", "points"),
        Column("ses", "socio-economic status of the pupil", "standardized scale"),
        Column("meanses", "mean of ses over the school's pupils in these data"),
        Column("cses", "ses minus meanses"),
        Column("sector", "kind of school", levels=("Public", "Catholic")),
        Column("size", "number of pupils enrolled in the school", "pupils"),
        Column("female", "1 for a girl, 0 for a boy"),
        Column("minority", "1 for a pupil of an ethnic minority, 0 otherwise"),
    ),
    about=(
        "Pupils of a sample of American high schools in 1982: 90 public and 70 "
        "Catholic schools with 14 to 67 pupils each. The standard example of a "
        "multilevel regression: how steep is the gradient of achievement on "
        "socio-economic status, and how much does it differ between schools?"
    ),
    source=(
        "Raudenbush, S. W. and Bryk, A. S. (2002), Hierarchical Linear Models, "
        "2nd edition, Sage, chapter 4."
    ),
    provenance=(
        "the R packages mlmRev (Hsb82) and nlme (size, from MathAchSchool); columns "
        "renamed, sex and minority status as 0/1."
    ),
    example="math ~ ses + (ses | school)",
)

SLEEPSTUDY = DataSet(
    name="sleepstudy",
    title="Reaction times in a sleep-deprivation study",
    file="sleepstudy.csv",
    n_rows=180,
    columns=(
        Column("Reaction", "average reaction time", "ms"),
        Column("Days", "day of the study, from 0", "days"),
        Column("Subject", "subject", levels=NUMBERED),
    ),
    about=(
        "Average reaction time per day of 18 subjects whose sleep was restricted to "
        "three hours a night, on ten days: days 0 and 1 were for training, day 2 is "
        "the baseline, and the restriction began after it."
    ),
    source=(
        "Belenky, G. et al. (2003), Patterns of performance degradation and "
        "restoration during sleep restriction and subsequent recovery, Journal of "
        "Sleep Research 12, 1-12."
    ),
    provenance="the R package lme4 (sleepstudy).",
    example="Reaction ~ Days + (Days | Subject)",
)

PENICILLIN = DataSet(
    name="penicillin",
    title="Potency of penicillin samples, plates crossed with samples",
    file="penicillin.csv",
    n_rows=144,
    columns=(
        Column("diameter", "diameter of the zone of inhibition", "mm"),
        Column("plate", "assay plate", levels=tuple("abcdefghijklmnopqrstuvwx")),
        Column("sample", "penicillin sample", levels=tuple("ABCDEF")),
    ),
    about=(
        "Six samples of penicillin tested on each of 24 plates of Bacillus subtilis: "
        "two completely crossed grouping factors."
    ),
    source=(
        "Davies, O. L. and Goldsmith, P. L. (1972), Statistical Methods in Research "
        "and Production, 4th edition, Oliver and Boyd, section 6.6."
    ),
    provenance="the R package lme4 (Penicillin).",
    example="diameter ~ 1 + (1 | plate) + (1 | sample)",
)

PASTES = DataSet(
    name="pastes",
    title="Strength of a chemical paste, casks nested in batches",
    file="pastes.csv",
    n_rows=60,
    columns=(
        Column("strength", "strength of the paste"),
        Column("batch", "delivery batch", levels=tuple("ABCDEFGHIJ")),
        Column("cask", "cask within the batch", levels=tuple("abc")),
        Column(
            "sample",
            "cask, labelled batch:cask",
            levels=tuple(f"{batch}:{cask}" for batch in "ABCDEFGHIJ" for cask in "abc"),
        ),
    ),
    about=(
        "Three casks were drawn from each of ten batches and the paste in each cask "
        "was tested twice: two nested grouping factors."
    ),
    source=(
        "Davies, O. L. and Goldsmith, P. L. (1972), Statistical Methods in Research "
        "and Production, 4th edition, Oliver and Boyd, section 6.5."
    ),
    provenance="the R package lme4 (Pastes).",
    example="strength ~ 1 + (1 | batch / cask)",
)

_DYESTUFF_COLUMNS = (
    Column("Batch", "batch of the intermediate product", levels=tuple("ABCDEF")),
    Column("Yield", "yield of dyestuff", "grams of standard colour"),
)

DYESTUFF = DataSet(
    name="dyestuff",
    title="Yield of dyestuff from six batches",
    file="dyestuff.csv",
    n_rows=30,
    columns=_DYESTUFF_COLUMNS,
    about=(
        "Five preparations from each of six batches of an intermediate product: the "
        "smallest design with a variance between and a variance within groups."
    ),
    source=(
        "Davies, O. L. and Goldsmith, P. L. (1972), Statistical Methods in Research "
        "and Production, 4th edition, Oliver and Boyd, section 6.4."
    ),
    provenance="the R package lme4 (Dyestuff).",
    example="Yield ~ 1 + (1 | Batch)",
)

DYESTUFF2 = DataSet(
    name="dyestuff2",
    title="Simulated yields whose variance between batches is estimated as zero",
    file="dyestuff2.csv",
    n_rows=30,
    columns=(DYESTUFF.columns[0], Column("Yield", "simulated yield")),
    about=(
        "Simulated data with the design of dyestuff. The variance between batches is "
        "so small that its estimate is zero: an example of a singular fit."
    ),
    source=(
        "Box, G. E. P. and Tiao, G. C. (1973), Bayesian Inference in Statistical "
        "Analysis, Addison-Wesley, section 5.1.2."
    ),
    provenance="the R package lme4 (Dyestuff2).",
    example="Yield ~ 1 + (1 | Batch)",
)

ORTHODONT = DataSet(
    name="orthodont",
    title="Growth of the jaw in 27 children",
    file="orthodont.csv",
    n_rows=108,
    columns=(
        Column("distance", "from the pituitary to the pterygomaxillary fissure", "mm"),
        Column("age", "age of the child", "years"),
        Column(
            "Subject",
            "child",
            levels=tuple(
                [f"F{i:02}" for i in range(1, 12)] + [f"M{i:02}" for i in range(1, 17)]
            ),
        ),
        Column("Sex", "sex of the child", levels=("Male", "Female")),
    ),
    about=(
        "A distance on X-rays of the skulls of 16 boys and 11 girls at ages 8, 10, 12 "
        "and 14."
    ),
    source=(
        "Potthoff, R. F. and Roy, S. N. (1964), A generalized multivariate analysis "
        "of variance model useful especially for growth curve problems, Biometrika "
        "51, 313-326."
    ),
    provenance="the R package nlme (Orthodont); Subject unordered, sorted by label.",
    example="distance ~ age * Sex + (age | Subject)",
)

MACHINES = DataSet(
    name="machines",
    title="Productivity of six workers on three machines",
    file="machines.csv",
    n_rows=54,
    columns=(
        Column("Worker", "worker", levels=NUMBERED),
        Column("Machine", "brand of machine", levels=tuple("ABC")),
        Column("score", "productivity: quantity and quality of the output", "points"),
    ),
    about=(
        "Each of six randomly chosen workers used each machine three times. The "
        "effect of a machine differs from worker to worker."
    ),
    source=(
        "Milliken, G. A. and Johnson, D. E. (1992), Analysis of Messy Data, volume I, "
        "Chapman and Hall."
    ),
    provenance="the R package nlme (Machines); Worker in numerical order.",
    example="score ~ Machine + (Machine | Worker)",
)

OXIDE = DataSet(
    name="oxide",
    title="Thickness of oxide on wafers within lots",
    file="oxide.csv",
    n_rows=72,
    columns=(
        Column("Source", "source of the lot", levels=("1", "2")),
        Column("Lot", "lot", levels=NUMBERED),
        Column("Wafer", "wafer within the lot", levels=tuple("123")),
        Column("Site", "place on the wafer", levels=tuple("123")),
        Column("Thickness", "thickness of the oxide layer"),
    ),
    about=(
        "Semiconductor manufacture: thickness at three places on each of three wafers "
        "from each of eight lots."
    ),
    source=(
        "Littell, R. C. et al. (1996), SAS System for Mixed Models, SAS Institute."
    ),
    provenance="the R package nlme (Oxide).",
    example="Thickness ~ 1 + (1 | Lot / Wafer)",
)

INSTEVAL = DataSet(
    name="insteval",
    title="Students' evaluations of lecturers at ETH Zurich",
    file="insteval.csv.gz",
    n_rows=73421,
    columns=(
        Column("s", "student", levels=NUMBERED),
        Column("d", "lecturer", levels=NUMBERED),
        Column(
            "studage",
            "semesters that the student has been enrolled",
            levels=tuple("2468"),
            ordered=True,
        ),
        Column(
            "lectage",
            "semesters back that the lecture was given",
            levels=tuple("123456"),
            ordered=True,
        ),
        Column("service", "1 for a lecture held for another department", levels=NO_YES),
        Column(
            "dept",
            "department of the lecture (coded)",
            levels=tuple("15 5 10 12 6 7 4 8 9 14 1 3 11 2".split()),
        ),
        Column("y", "rating, from 1 (poor) to 5 (very good)", "points"),
    ),
    about=(
        "73,421 ratings of 1,128 lecturers by 2,972 students: two large grouping "
        "factors that are partially crossed."
    ),
    source="Anonymized evaluations of ETH Zurich, given to the R package lme4.",
    provenance="the R package lme4 (InstEval), all rows.",
    example="y ~ service + (1 | s) + (1 | d)",
)

CATALOGUE: dict[str, DataSet] = {
    data_set.name: data_set
    for data_set in (
        HSB,
        SLEEPSTUDY,
        PENICILLIN,
        PASTES,
        DYESTUFF,
        DYESTUFF2,
        ORTHODONT,
        MACHINES,
        OXIDE,
        INSTEVAL,
        CBPP,
        CONTRACEPTION,
        VERBAGG,
        BACTERIA,
        GROUSETICKS,
        EPIL,
    )
}
