//! What is said about every method: one row each, in the order of `MethodName::ALL`.

use super::About;

const fn about(
    name: &'static str,
    [title, chosen, file, citation, assumes]: [&'static str; 5],
) -> About {
    About { name, title, chosen, file, citation, assumes }
}

/// Every method in the order of [`super::MethodName::ALL`].
pub(super) const ABOUT: [About; 20] = [
    about(
        "information_time",
        [
            "information-time confidence sequence",
            "`always`: every counted form unless an exact method fits better",
            "info_time.rs",
            "Robbins 1970; Howard, Ramdas, McAuliffe & Sekhon 2021; Johari et al. 2022",
            "independent units; normal approximation",
        ],
    ),
    about(
        "rare_events",
        [
            "exact rare-events e-process",
            "`always`: proportions in arms, below ten events (or non-events) in an arm",
            "rare.rs",
            "Lindon & Malek 2022",
            "rare independent events; allocation constant within its epochs",
        ],
    ),
    about(
        "one_proportion",
        [
            "exact beta-binomial e-process",
            "`always`: a proportion against a stated level; uneven periods are fewer units",
            "one_proportion.rs",
            "Robbins 1970; Lindon & Malek 2022",
            "independent units with one probability",
        ],
    ),
    about(
        "one_rate",
        [
            "exact gamma-Poisson e-process",
            "`always`: a rate against a stated level; uneven periods are less exposure",
            "poisson.rs",
            "Robbins & Siegmund 1974",
            "independent events with one rate",
        ],
    ),
    about(
        "block_means",
        [
            "block means of a series, valid at every look",
            "`always`: a value against a stated or measured level",
            "blocks/mod.rs",
            "Schmeiser 1982, with information_time",
            "stationary apart from the change",
        ],
    ),
    about(
        "paired_blocks",
        [
            "paired block means, valid at every look",
            "`always`: a value in arms",
            "blocks/mod.rs",
            "Schmeiser 1982, with information_time",
            "shared load cancels in the differences",
        ],
    ),
    about(
        "two_proportion",
        [
            "pooled z test with Newcombe's interval",
            "`once`, `weekly`: proportions in arms or against counts, expected cells >= 5",
            "fixed/two_proportion.rs",
            "Newcombe 1998; linear contrasts: Zou & Donner 2008",
            "independent units; judged at planned looks only",
        ],
    ),
    about(
        "fisher",
        [
            "Fisher's exact test with the score interval",
            "`once`, `weekly`: proportions in two populations, an expected cell below 5",
            "fixed/fisher.rs",
            "Fisher 1935; interval: Miettinen & Nurminen 1985",
            "independent units; both margins given; judged at planned looks only",
        ],
    ),
    about(
        "score",
        [
            "Miettinen-Nurminen score test and interval",
            "`once`, `weekly`: proportions in two populations, when named",
            "fixed/score.rs",
            "Miettinen & Nurminen 1985; Farrington & Manning 1990",
            "independent units; judged at planned looks only",
        ],
    ),
    about(
        "binomial",
        [
            "exact binomial test with the Clopper-Pearson interval",
            "`once`, `weekly`: a proportion against a stated level, periods even (phi <= 1.5)",
            "binomial.rs",
            "Clopper & Pearson 1934",
            "independent units with one probability; judged at planned looks only",
        ],
    ),
    about(
        "wilson",
        [
            "score test against a level with Wilson's interval",
            "`once`, `weekly`: a proportion against a stated level, when named",
            "binomial.rs",
            "Wilson 1927",
            "independent units with one probability; judged at planned looks only",
        ],
    ),
    about(
        "welch",
        [
            "Welch's t test",
            "`once`, `weekly`: means and ratios; counts whose periods are uneven (phi > 1.5)",
            "fixed/welch.rs",
            "Welch 1947; Satterthwaite 1946; ratios: Deng, Knoblich & Lu 2018",
            "independent units; means nearly normal; judged at planned looks only",
        ],
    ),
    about(
        "poisson_rates",
        [
            "score test of two Poisson rates",
            "`once`, `weekly`: rates in arms or against a measured or counted rate",
            "fixed/poisson_rates.rs",
            "Gu, Ng, Tang & Schucany 2008",
            "independent events, errors widened by phi; judged at planned looks only",
        ],
    ),
    about(
        "poisson_rate",
        [
            "exact test of one Poisson rate with Garwood's interval",
            "`once`, `weekly`: a rate against a stated level, periods even (phi <= 1.5)",
            "fixed/poisson_rates.rs",
            "Garwood 1936",
            "independent events with one rate; judged at planned looks only",
        ],
    ),
    about(
        "block_t",
        [
            "t test on block means",
            "`once`: a value in arms or against a stated level; `weekly`: every value",
            "fixed/block_t.rs",
            "Schmeiser 1982; Student 1908",
            "stationary apart from the change; judged at planned looks only",
        ],
    ),
    about(
        "newey_west",
        [
            "interrupted series with Newey-West errors",
            "`once`: a value against its measured past",
            "its.rs",
            "Newey & West 1987; Kiefer & Vogelsang 2005; Lazarus, Lewis, Stock & Watson 2018",
            "no trend and no season in the steps; judged at one planned look only",
        ],
    ),
    about(
        "block_bootstrap",
        [
            "circular block bootstrap",
            "`once`: a value, when named",
            "bootstrap.rs",
            "Politis & Romano 1992; length: Politis & White 2004, Patton, Politis & White 2009",
            "stationary apart from the change; judged at one planned look only",
        ],
    ),
    about(
        "mann_whitney",
        [
            "Mann-Whitney rank test",
            "`verdictd analyze` with raw samples, when named",
            "fixed/mann_whitney.rs",
            "Mann & Whitney 1947; shift: Hodges & Lehmann 1963",
            "independent samples; tests P(T>C), not means; judged at one planned look only",
        ],
    ),
    about(
        "split",
        [
            "sequential split check",
            "arms with declared shares, always",
            "srm.rs",
            "Lindon & Malek 2022",
            "units are assigned independently",
        ],
    ),
    about(
        "exact",
        [
            "comparison of a configured number",
            "guardrails that read a setting",
            "mod.rs",
            "none needed",
            "the number is exact",
        ],
    ),
];
