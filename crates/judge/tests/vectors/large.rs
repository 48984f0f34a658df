//! Special functions and exact e-processes at large counts, against 40-digit arithmetic.

use judge::stats::two_arm::Count;
use judge::stats::{info_time, one_proportion, poisson, special, srm};
use serde_json::Value;

use super::harness::{Got, num, nums, tol};

pub(crate) fn large_counts(input: &Value, key: &str, _: &Value) -> Got {
    let n = |name: &str| num(input, name);
    match input["fn"].as_str().unwrap() {
        "srm" => {
            let k: f64 = key.strip_prefix("log_bf_k").unwrap().parse().unwrap();
            Got::Num(srm::log_bf(&nums(input, "observed"), &nums(input, "weights"), k))
        }
        "one_proportion" => {
            let prior = nums(input, "prior");
            let prior = one_proportion::Prior { a: prior[0], b: prior[1] };
            Got::Num(one_proportion::log_e(prior, n("successes"), n("trials"), n("q")))
        }
        "poisson" => {
            let prior = poisson::Prior { shape: n("shape"), rate: n("rate") };
            let count = Count { events: n("events"), exposure: n("exposure") };
            Got::Num(poisson::log_e(prior, &count, n("tested")))
        }
        "ln_beta" => Got::Num(special::ln_beta(n("a"), n("b"))),
        "ln_phi" => Got::Num(special::ln_phi(n("x"))),
        "half_width_one_sided" => {
            Got::Num(info_time::half_width_one_sided(n("se"), n("tau"), n("alpha")))
        }
        // Probabilities and quantiles: the relative part alone.
        _ => Got::Within(tail(input, key), tol(1e-9, 0.0)),
    }
}

fn tail(input: &Value, key: &str) -> f64 {
    let n = |name: &str| num(input, name);
    match (input["fn"].as_str().unwrap(), key) {
        ("norm_quantile", _) => special::norm_quantile(n("p")),
        ("t_isf", _) => special::t_isf(n("p"), n("df")),
        ("t_sf", _) => special::t_sf(n("t"), n("df")),
        ("binom", "cdf") => special::binom_cdf(n("k"), n("n"), n("p")),
        ("binom", "sf") => special::binom_sf(n("k"), n("n"), n("p")),
        ("binom", "pmf") => special::binom_pmf(n("k"), n("n"), n("p")),
        ("betainc", _) => special::betainc(n("a"), n("b"), n("x"), 1.0 - n("x")),
        ("gamma", "p") => special::gamma_p(n("a"), n("x")),
        ("gamma", "q") => special::gamma_q(n("a"), n("x")),
        ("chi_square_sf", _) => special::chi_square_sf(n("x"), n("df")),
        other => panic!("unknown function {other:?}"),
    }
}
