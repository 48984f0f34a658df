//! Series: EWMA, block length, long-run variance, interrupted time series.

use judge::stats::its::{Fit, Model};
use judge::stats::tripwire::Ewma;
use judge::stats::{autocorrelation as auto, bootstrap, its};
use serde_json::Value;

use super::harness::{Got, list, map, num, nums};

pub(crate) fn ewma(input: &Value, key: &str, _: &Value) -> Got {
    assert_eq!(key, "ewma");
    let lambda = num(input, "lambda");
    let mut state = Ewma::new(num(input, "target"));
    let path = nums(input, "x").into_iter().map(|x| {
        state = state.step(x, lambda);
        state.mean
    });
    list(path.collect::<Vec<f64>>())
}

pub(crate) fn block_bootstrap_hac(input: &Value, key: &str, _: &Value) -> Got {
    let x = nums(input, "x");
    let length = auto::politis_white(&x);
    Got::from(match key {
        "optimal_block_stationary" => length.map(|l| l.stationary),
        "optimal_block_circular" => {
            let circular = length.map(|l| l.circular);
            let drawn = bootstrap::block_length(&x).map(|steps| steps as f64);
            assert_eq!(drawn, circular.map(|l| l.max(1.0).ceil()), "blocks that are drawn");
            circular
        }
        _ => {
            let bandwidth = key.strip_prefix("bartlett_long_run_var_bw").unwrap();
            auto::bartlett_long_run_variance(&x, bandwidth.parse().unwrap())
        }
    })
}

pub(crate) fn its_hac(input: &Value, key: &str, expected: &Value) -> Got {
    let (pre, post) = (nums(input, "pre"), nums(input, "post"));
    match key {
        "pre_lag1_acf" => return Got::from(auto::autocorrelation(&pre, 1)),
        "pre_ljung_box" => return ljung_box(&pre, &expected[key]),
        _ => {}
    }
    let (model, rest) = if let Some(rest) = key.strip_prefix("level_trend_") {
        (Model::LevelTrend, rest)
    } else if let Some(rest) = key.strip_prefix("full_its_") {
        (Model::Full, rest)
    } else {
        (Model::Level, key.strip_prefix("level_").unwrap())
    };
    let fit = its::fit(&pre, &post, model).unwrap();
    let test = fit.hac_test(0);
    if test.is_none() {
        return constant_series(&fit, rest, &expected[key]);
    }
    if rest == "ols" {
        return map([
            ("coef", Got::Num(fit.step)),
            ("se", Got::Num(fit.ols_se())),
            ("durbin_watson", Got::from(fit.durbin_watson())),
        ]);
    }
    let lags = rest.strip_prefix("hac_L").unwrap();
    let (lags, form) = lags.split_once('_').unwrap();
    let lags: usize = lags.parse().unwrap();
    if form == "raw_z_se" {
        return Got::Num(fit.hac_se(lags, false));
    }
    let test = fit.hac_test(lags).unwrap();
    map([
        ("coef", Got::Num(fit.step)),
        ("se", Got::Num(test.se)),
        ("t", Got::Num(test.t)),
        ("p_two_sided", Got::Num(test.p)),
        ("df", Got::Num(test.df)),
    ])
}

/// Nothing varies: the oracle divides rounding dust by rounding dust, we refuse to test.
fn constant_series(fit: &Fit, rest: &str, expected: &Value) -> Got {
    assert!(fit.hac_test(0).is_none());
    let dust = 1e-10;
    assert!(fit.ols_se() < dust && fit.hac_se(0, false) < dust, "not constant: {fit:?}");
    if rest.ends_with("raw_z_se") {
        return Got::Num(fit.hac_se(0, false));
    }
    let fields = expected.as_object().unwrap().keys().map(|key| {
        let got = match key.as_str() {
            "coef" => Got::Num(fit.step),
            "df" => Got::Num((fit.residuals.len() - fit.terms) as f64),
            _ => Got::MustRefuse,
        };
        (key.clone(), got)
    });
    Got::Map(fields.collect())
}

fn ljung_box(pre: &[f64], expected: &Value) -> Got {
    if expected.is_null() {
        return Got::Refused;
    }
    let lags = num(expected, "lags");
    let test = auto::ljung_box(pre, lags as usize).unwrap();
    map([("lags", Got::Num(lags)), ("stat", Got::Num(test.statistic)), ("p", Got::Num(test.p))])
}
