"""The catalogue of data sets whose response is a class or a count.

Held by tests/datasets/test_loading.py.
"""

from __future__ import annotations

from multilevel.datasets.records import Column, DataSet

NUMBERED: tuple[str, ...] = ()  # levels are numbers, in increasing order
_ITEMS = (
    "S1WantCurse S1WantScold S1WantShout S2WantCurse S2WantScold S2WantShout "
    "S3WantCurse S3WantScold S3WantShout S4wantCurse S4WantScold S4WantShout "
    "S1DoCurse S1DoScold S1DoShout S2DoCurse S2DoScold S2DoShout "
    "S3DoCurse S3DoScold S3DoShout S4DoCurse S4DoScold S4DoShout"
)
_CHILDREN = (
    "X01 X02 X03 X04 X05 X06 X07 X08 X09 X10 X11 X12 X13 X14 X15 X16 X17 X18 X19 X20 "
    "X21 Y01 Y02 Y03 Y04 Y05 Y06 Y07 Y08 Y09 Y10 Y11 Y12 Y13 Y14 Z01 Z02 Z03 Z05 Z06 "
    "Z07 Z09 Z10 Z11 Z14 Z15 Z19 Z20 Z24 Z26"
)

CBPP = DataSet(
    name="cbpp",
    title="Contagious bovine pleuropneumonia in 15 herds",
    file="cbpp.csv",
    n_rows=56,
    columns=(
        Column("herd", "herd", levels=NUMBERED),
        Column("incidence", "new cases in the period", "animals"),
        Column("size", "herd size at the beginning of the period", "animals"),
        Column("period", "period", levels=tuple("1234")),
    ),
    about=(
        "Serological incidence of a disease of zebu cattle in herds of the Boji "
        "district, Ethiopia, in up to four periods."
    ),
    source=(
        "Lesnoff, M. et al. (2004), Within-herd spread of contagious bovine "
        "pleuropneumonia in Ethiopian highlands, Preventive Veterinary Medicine 64, "
        "27-40."
    ),
    provenance="the R package lme4 (cbpp).",
    example="cbind(incidence, size - incidence) ~ period + (1 | herd)",
    family="binomial",
)

CONTRACEPTION = DataSet(
    name="contraception",
    title="Use of contraceptives by 1,934 women in Bangladesh",
    file="contraception.csv.gz",
    n_rows=1934,
    columns=(
        Column("woman", "woman", levels=NUMBERED),
        Column("district", "district of residence", levels=NUMBERED),
        Column("use", "uses contraceptives at the time", levels=("N", "Y")),
        Column("livch", "number of living children", levels=("0", "1", "2", "3+")),
        Column("age", "age of the woman, less the mean", "years"),
        Column("urban", "lives in a town", levels=("N", "Y")),
    ),
    about=(
        "A part of the 1989 Bangladesh fertility survey: married women in 60 districts "
        "with 2 to 118 women each."
    ),
    source=(
        "Huq, N. M. and Cleland, J. (1990), Bangladesh Fertility Survey 1989: Main "
        "Report, National Institute of Population Research and Training, Dhaka."
    ),
    provenance="the R package mlmRev (Contraception).",
    example="use ~ age + livch + urban + (urban | district)",
    family="binomial",
)

VERBAGG = DataSet(
    name="verbagg",
    title="Verbal aggression: 24 questions put to 316 persons",
    file="verbagg.csv.gz",
    n_rows=7584,
    columns=(
        Column("Anger", "score of the person's anger as a trait", "points"),
        Column("Gender", "gender", levels=("F", "M")),
        Column("item", "question", levels=tuple(_ITEMS.split())),
        Column("resp", "answer", levels=("no", "perhaps", "yes"), ordered=True),
        Column("id", "person", levels=NUMBERED),
        Column("btype", "kind of behaviour", levels=("curse", "scold", "shout")),
        Column("situ", "who is to blame in the situation", levels=("other", "self")),
        Column("mode", "wanting to do it, or doing it", levels=("want", "do")),
        Column("r2", "answer in two classes: perhaps counts as Y", levels=("N", "Y")),
    ),
    about=(
        "Every person answers every question, such as 'a bus fails to stop for me; I "
        "would want to curse': persons and questions are crossed."
    ),
    source=(
        "De Boeck, P. and Wilson, M. (2004), Explanatory Item Response Models, "
        "Springer, chapter 1."
    ),
    provenance="the R package lme4 (VerbAgg).",
    example="r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)",
    family="binomial",
)

GROUSETICKS = DataSet(
    name="grouseticks",
    title="Ticks on the heads of red grouse chicks",
    file="grouseticks.csv",
    n_rows=403,
    columns=(
        Column("INDEX", "chick", levels=NUMBERED),
        Column("TICKS", "number of ticks", "ticks"),
        Column("BROOD", "brood", levels=NUMBERED),
        Column("HEIGHT", "height above sea level", "m"),
        Column("YEAR", "year, less 1900", levels=("95", "96", "97")),
        Column("LOCATION", "place in the moor", levels=NUMBERED),
        Column("cHEIGHT", "HEIGHT less its mean", "m"),
    ),
    about=(
        "Chicks in 118 broods at 63 places on a Scottish moor. Counts vary more than a "
        "Poisson distribution allows, so that each chick may have an effect of its own."
    ),
    source=(
        "Elston, D. A. et al. (2001), Analysis of aggregation, a worked example: "
        "numbers of ticks on red grouse chicks, Parasitology 122, 563-569."
    ),
    provenance="the R package lme4 (grouseticks).",
    example="TICKS ~ YEAR + cHEIGHT + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)",
    family="poisson",
)

BACTERIA = DataSet(
    name="bacteria",
    title="Bacteria in children with ear infections, over eleven weeks",
    file="bacteria.csv",
    n_rows=220,
    columns=(
        Column("y", "H. influenzae present", levels=("n", "y")),
        Column("ap", "active drug or placebo", levels=("a", "p")),
        Column("hilo", "encouraged to comply: high or low", levels=("hi", "lo")),
        Column("week", "week of the test", "weeks"),
        Column("ID", "child", levels=tuple(_CHILDREN.split())),
        Column(
            "trt",
            "placebo, drug, or drug with encouragement",
            levels=("placebo", "drug", "drug+"),
        ),
    ),
    about=(
        "50 children of the Northern Territory of Australia with a history of otitis "
        "media were tested in weeks 0, 2, 4, 6 and 11 of a trial, with gaps: 2 to 5 "
        "tests a child."
    ),
    source=(
        "Venables, W. N. and Ripley, B. D. (2002), Modern Applied Statistics with S, "
        "4th edition, Springer, section 10.4; data of A. Leach, Menzies School of "
        "Health Research."
    ),
    provenance="the R package MASS (bacteria).",
    example="y ~ trt + I(week > 2) + (1 | ID)",
    family="binomial",
)

EPIL = DataSet(
    name="epil",
    title="Seizures of 59 epileptics",
    file="epil.csv",
    n_rows=236,
    columns=(
        Column("y", "seizures in the period", "seizures"),
        Column("trt", "treatment", levels=("placebo", "progabide")),
        Column("base", "seizures in the eight weeks before the trial", "seizures"),
        Column("age", "age", "years"),
        Column("V4", "1 in the fourth period, 0 otherwise"),
        Column("subject", "patient", levels=NUMBERED),
        Column("period", "period of two weeks, from 1"),
        Column("lbase", "logarithm of base, less its mean"),
        Column("lage", "logarithm of age, less its mean"),
    ),
    about="A trial of progabide: four visits, two weeks apart, of each patient.",
    source=(
        "Thall, P. F. and Vail, S. C. (1990), Some covariance models for longitudinal "
        "count data with overdispersion, Biometrics 46, 657-671."
    ),
    provenance="the R package MASS (epil).",
    example="y ~ lbase * trt + lage + V4 + (1 | subject)",
    family="poisson",
)
