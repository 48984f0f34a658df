//! What `verdictd slo` computes and prints, against hand-made figures.

use super::*;

const FILE: &str = include_str!("../../../tests/cases/openslo/web-availability.yaml");

fn storefront() -> Shown {
    spec::read_openslo(FILE).slos.into_iter().map(Shown::imported).next().unwrap()
}

#[test]
fn budget_and_detection_are_what_the_formulas_say() {
    let one = storefront();
    // 0.1 % of 30 d is 43.2 minutes; of 30 x 100,000 events it is 3,000.
    assert_eq!((one.minutes(), one.events(Some(100_000.0))), (Some(43.2), Some(3_000.0)));
    let (fast, slow) = (&one.alerts[0].0, &one.alerts[1].0);
    assert_eq!((one.fires_above(fast), one.spends(fast)), (0.0144, Some(0.02)));
    // 0.0144 x 3,600 s / 1 = 51.84 s; at 10 % ten times that; at 1 % never.
    let seconds = |rule, ratio| one.detection(rule, ratio).map(|span| span.ms as f64 / 1e3);
    assert_eq!(seconds(fast, 1.0), Some(51.84));
    assert_eq!(seconds(fast, 0.1), Some(518.4));
    assert_eq!(seconds(fast, 0.01), None);
    // 0.001 x 259,200 s / 0.01.
    assert_eq!(seconds(slow, 0.01), Some(25_920.0));
}

#[test]
fn the_text_says_it_within_80_columns_except_queries() {
    let text = text_of(&storefront(), Some(100_000.0));
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "storefront-availability/availability service storefront objective 99.9 %",
        "rolling 30d",
        "43.2 minutes of nothing but errors in a period; 3,000 bad events in a period",
        "page: 14.4 x over 1h and 5m (fast-burn); fires above 1.4 % bad, 2.0 % of the budget",
        "at 100 % bad after 52 s; at 10.0 % bad after 9 min; at 1.0 % bad never",
        "every alert can fire",
    ] {
        assert!(flat.contains(part), "{part}\n{text}");
    }
    let is_query = |line: &&str| line.contains("http_requests_total");
    let long = text.lines().find(|line| line.chars().count() > 80 && !is_query(line));
    assert_eq!(long, None);
}

#[test]
fn a_factor_beyond_the_budget_can_never_fire() {
    // 14.4 x 10 % is 144 %.
    let mut one = storefront();
    one.objective = 0.9;
    assert!(!one.can_fire(&one.alerts[0].0));
    assert_eq!(one.detection(&one.alerts[0].0, 1.0), None);
    let text = text_of(&one, None);
    assert!(text.contains("needs 144 % bad"), "{text}");
    assert!(text.contains("an alert can never fire"), "{text}");
    let json = document("f", &[one], &[], None);
    assert_eq!(json["slos"][0]["alerts"][0]["can_fire"], false);
}

#[test]
fn windows_shorter_than_the_periods_of_the_source_cannot_be_judged() {
    let mut one = storefront();
    one.grain = Span::days(1);
    let text = text_of(&one, None).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "cannot be judged: the source counts in periods of 1d",
        "no alert that pages can be judged in periods of 1d: it trips only when the budget of 30d \
         is spent",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    // 51.84 s, seen when the first day is over.
    assert_eq!(one.detection(&one.alerts[0].0, 1.0), Some(Span::days(1)));
    let json = document("f", &[one], &[], None);
    assert_eq!(json["slos"][0]["alerts"][0]["can_be_judged"], false);
}

#[test]
fn a_file_without_alerts_shows_the_table_that_is_used() {
    let text = FILE.split("alertPolicies:").next().unwrap().to_owned();
    let one = spec::read_openslo(&text).slos.into_iter().map(Shown::imported).next().unwrap();
    let text = text_of(&one, None).split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "page: 14.4 x over 1h and 5m;",
        "ticket: 1 x over 3d and 6h;",
        "the file has no alert: those of the table `sloth` are used",
        "every alert can fire",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_page_within_the_objective_is_told() {
    let mut one = storefront();
    one.alerts[0].0.factor = 0.5;
    let text = text_of(&one, None);
    assert!(text.contains("a page would stop a service that keeps its"), "{text}");
}
