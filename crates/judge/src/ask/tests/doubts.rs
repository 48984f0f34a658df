//! Questions that could mean two things, or that no data have, are refused; what is too little is
//! said to be.

use serde_json::{Value, json};

use super::super::envelope::read;
use super::super::{answer, words};
use super::ask;

/// `method key=value ...` as on the command line.
fn by_words(words: &str) -> Result<Value, super::super::Fault> {
    let (name, given) = words.split_once(' ').unwrap();
    let given: Vec<String> = given.split_whitespace().map(str::to_owned).collect();
    words::object(super::super::method(name).unwrap(), &given)
}

#[test]
fn percent_and_points_of_a_share_never_mix() {
    let arms = "control=1620/6000 treatment=1980/6000";
    for (words, cause, hint) in [
        (format!("two_proportions {arms} target=+3"), "no unit", "`target=+3pts` for points"),
        (format!("two_proportions {arms} target=3"), "no unit", "`target=+3%` for a change"),
        (format!("two_proportions {arms} target=-0.03"), "no unit", "`target=-3pts` if it is"),
        (format!("two_proportions {arms} target=3%"), "it is a level", "`target=+3pts` for points"),
        (format!("two_proportions {arms} target=+3pts min_effect=1"), "no unit", "+1pts"),
        (format!("two_proportions {arms} target=+3pts min_effect=+1%"), "relative", "into points"),
        ("sample_size effect=3 baseline=27%".to_owned(), "no unit", "`effect=+3pts`"),
        ("sample_size effect=+3% baseline=27%".to_owned(), "a relative change", "into points"),
        ("two_means target=10%".to_owned(), "it is a level", "write `target=+10%` for a change"),
        ("non_inferiority estimate=0 margin=2%".to_owned(), "it is a level", "`margin=+2pts`"),
    ] {
        let fault = by_words(&words).unwrap_err();
        assert!(fault.cause.contains(cause) && fault.hint.contains(hint), "{words}: {fault}");
    }
    for (words, field, value) in [
        (format!("two_proportions {arms} target=3pts"), "target", 0.03),
        (format!("two_proportions {arms} target=+3%"), "target_relative", 0.03),
        (format!("two_proportions {arms} tau=0.03"), "tau", 0.03),
        ("two_means target=-3".to_owned(), "target", -3.0),
        ("sample_size effect=3 sd=8".to_owned(), "effect", 3.0),
        ("one_proportion target=15%".to_owned(), "target", 0.15),
    ] {
        assert_eq!(by_words(&words).unwrap()[field], value, "{words}");
    }
    // The names of the table are fields of the methods it says.
    for (field, methods) in words::CHANGES {
        for name in *methods {
            let fields = super::super::method(name).unwrap().fields();
            assert!(fields.contains(&(*field).to_owned()), "{name} has no {field}");
        }
    }
}

#[test]
fn below_its_least_sample_a_comparison_has_no_state() {
    for (line, least) in [
        (
            r#"{"method":"two_proportions","control":"16/6000","treatment":"3/6000",
            "target":0.03}"#,
            "ten successes",
        ),
        (
            r#"{"method":"two_proportions","control":"95/100","treatment":"80/100",
            "target":0.03}"#,
            "rare_difference",
        ),
        (
            r#"{"method":"two_means","control":{"n":50,"mean":10,"sd":1},
            "treatment":{"n":200,"mean":10.01,"sd":1},"target":1}"#,
            "100 units per arm",
        ),
        (
            r#"{"method":"two_rates","control":"9/3000","treatment":"40/3000","target":0.01}"#,
            "ten events",
        ),
    ] {
        let told = ask(line);
        assert_eq!(told["answer"]["state"], "too_early", "{told}");
        assert!(told["answer"]["effect"].is_number(), "the numbers stay: {told}");
        assert!(told["notes"].to_string().contains(least), "{told}");
        let request = read(line.as_bytes()).unwrap();
        let answered = answer(&request).unwrap();
        assert!(request.sentence(&answered.answer).contains("too early"));
        let broken = |text: &&&str| answered.is_missed(text);
        let method = super::super::method(request.method()).unwrap();
        assert_eq!(method.assumes.iter().filter(broken).count(), 1, "{told}");
    }
    let line = r#"{"method":"two_means","control":{"n":100,"mean":10,"sd":1},
        "treatment":{"n":100,"mean":10.01,"sd":1},"target":1}"#;
    assert_eq!(ask(line)["answer"]["state"], "flat");
}

#[test]
fn sums_that_no_values_have_are_refused_by_name() {
    let mean = |arm: &str| {
        format!(
            r#"{{"method":"two_means","control":{arm},"treatment":{{"n":100,"mean":1,"sd":1}},
            "target":1}}"#
        )
    };
    let arm = r#"{"n":500,"num":150,"den":2000,"num_sq":170,"den_sq":10000,"cross":700}"#;
    let ratio = |arm: &str| {
        format!(r#"{{"method":"two_ratios","control":{arm},"treatment":{arm},"target":0.1}}"#)
    };
    let pair = r#"{"n":200,"y":2000,"x":1980,"yy":26000,"xx":25600,"xy":24000}"#;
    let cuped = |arm: &str| {
        format!(r#"{{"method":"cuped","control":{arm},"treatment":{arm},"target":0.1}}"#)
    };
    for line in [ratio(arm), cuped(pair), mean(r#"{"n":4,"sum":33.3333,"sum_sq":277.7772222}"#)] {
        assert!(ask(&line)["answer"].is_object(), "{}", ask(&line));
    }
    for (line, field) in [
        (mean(r#"{"n":5000,"mean":1,"sd":-1}"#), "`control.sd` is -1"),
        (mean(r#"{"n":5000,"mean":1,"variance":-1}"#), "`control.variance`"),
        (mean(r#"{"n":5000,"mean":1,"se":-1}"#), "`control.se`"),
        (mean(r#"{"n":5000,"sum":10,"sum_sq":0}"#), "`control.sum_sq` is 0: 5000 values"),
        (mean(r#"{"n":1,"sum":10,"sum_sq":100}"#), "`control.n` is 1"),
        (ratio(&arm.replace("170", "40")), "`control.num_sq`"),
        (ratio(&arm.replace("10000", "7999")), "`control.den_sq`"),
        (ratio(&arm.replace("700", "1200")), "`control.cross`"),
        (cuped(&pair.replace("26000", "19999")), "`control.yy`"),
        (cuped(&pair.replace("25600", "0")), "`control.xx`"),
        (cuped(&pair.replace("24000", "-24000")), "`control.xy`"),
    ] {
        // The treatment is read first where both arms are wrong.
        let told = ask(&line)["error"]["cause"].to_string().replace("treatment", "control");
        assert!(told.contains(field), "{field}: {told}");
        assert!(!ask(&line)["error"]["hint"].as_str().unwrap().is_empty());
    }
}

#[test]
fn units_where_the_plan_has_none_are_a_mismatch() {
    let line = r#"{"method":"split","observed":[500,510,10],"planned":[50,50,0]}"#;
    let told = ask(line);
    assert_eq!(told["answer"]["mismatch"], true, "{told}");
    assert_eq!(
        (&told["answer"]["p"], &told["answer"]["unplanned_units"]),
        (&json!(0.0), &json!(10.0))
    );
    let request = read(line.as_bytes()).unwrap();
    let sentence = request.sentence(&answer(&request).unwrap().answer);
    assert_eq!(sentence, "10 of 1,020 units are in an arm that should get nobody: p = 0.");
    let idle = ask(r#"{"method":"split","observed":[500,510,0],"planned":[50,50,0]}"#);
    assert_eq!(idle["answer"]["mismatch"], false);
}

#[test]
fn hints_are_about_what_was_written() {
    for (line, cause, hint) in [
        (r#"{"method":"split","observed":[5,6],"planned":[100,0]}"#, "to 1 of 2 arms", "above 0"),
        (r#"{"method":"split","observed":[5,-6],"planned":[1,1]}"#, "has -6", "whole numbers"),
        (r#"{"method":"split","observed":[5],"planned":[1,1]}"#, "1 counts for 2", "same order"),
        (r#"{"method":"sample_size","effect":1,"sd":8,"baseline":0.2}"#, "both", "no `baseline`"),
        (r#"{"method":"sample_size","effect":3,"baseline":0.2}"#, "`effect` is 3", "0.03 for 3"),
        (
            r#"{"method":"two_proportions","control":"9/50","treatment":"9/50","target":3}"#,
            "`target` is 3",
            "0.03 for 3 points; 3 % is a relative change",
        ),
        (
            r#"{"method":"two_means","control":{"n":9,"mean":1,"sd":1},
            "treatment":{"n":9,"mean":1,"sd":1},"target":0}"#,
            "`target` is 0",
            "its sign says",
        ),
        (
            r#"{"method":"days_to_decision","effect":1,"se":1,"n":9,"last_days":[5,-5]}"#,
            "has -5",
            "0 or more",
        ),
        (
            r#"{"method":"one_proportion","observed":"5.5/9","baseline":0.2,"target":0.3}"#,
            "has 5.5",
            "whole numbers",
        ),
        (r#"{"method":"sample_size","effect":-0.28,"baseline":0.27}"#, "is -0.01", "a share"),
    ] {
        let told = ask(line);
        assert!(told["error"]["cause"].as_str().unwrap().contains(cause), "{told}");
        assert!(told["error"]["hint"].as_str().unwrap().contains(hint), "{told}");
    }
    let near = r#"{"method":"group_sequential","fractions":[0.5,0.500005,0.501,1]}"#;
    let bounds = &ask(near)["answer"]["bounds"];
    assert_eq!(bounds[0], bounds[1], "a step of 1e-5 reuses the bound");
    let many: Vec<f64> = (0..60).map(|look| 0.5 + 2e-5 * f64::from(look)).collect();
    let told = ask(&json!({"method": "group_sequential", "fractions": many}).to_string());
    assert!(told["error"]["cause"].as_str().unwrap().contains("a hair apart"), "{told}");
}
