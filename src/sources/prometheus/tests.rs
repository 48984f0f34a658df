//! Tests against a small fake API on a free port: requests as asked, every failure class.

mod fake;

use judge::contract;
use judge::plan::Shape;
use judge::points::Sums;
use judge::spec::Form;

use self::fake::{Fake, Reply, error, matrix, success};
use super::*;
use crate::secret::SecretRef;
use crate::sources::test_support::{columns, request, ts};

/// The week of days, asked for a proportion.
fn week() -> Request {
    let mut request = request();
    request.need.query.columns = columns(&[
        ("num", "sum(increase(ok[{{grain}}]))"),
        ("den", "sum(increase(all[{{grain}}]))"),
    ]);
    request
}

fn value() -> Request {
    let mut request = request();
    request.need.shape = Shape::Form(Form::Value);
    request.need.query.columns = columns(&[("value", "up")]);
    request
}

#[tokio::test]
async fn periods_are_asked_at_their_ends_and_become_points() {
    let fake = Fake::start(|asked| {
        let value = if asked.form["query"].contains("ok") { "1.125" } else { "20" };
        matrix(asked, &[("", value)])
    })
    .await;
    let request = week();
    let batch = fake.source().fetch(&request).await.unwrap();
    let points = contract::points(&request, &batch).unwrap();
    assert_eq!(points.len(), 7);
    assert_eq!(points[0].start, ts("2026-08-01T00:00:00Z"));
    assert_eq!(points[0].sums, Sums::Proportion { num: 1.0, den: 20.0 });
    let asked = fake.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].path, "/api/v1/query_range");
    assert_eq!(asked[0].form["query"], "sum(increase(ok[1d]))");
    assert_eq!(asked[0].form["start"], ts("2026-08-02T00:00:00Z").as_second().to_string());
    assert_eq!(asked[0].form["end"], ts("2026-08-08T00:00:00Z").as_second().to_string());
    assert_eq!(asked[0].form["step"], "86400");
}

#[tokio::test]
async fn nothing_younger_than_the_query_delay_is_asked() {
    let fake = Fake::start(|asked| matrix(asked, &[("", "1")])).await;
    let mut request = value();
    request.at = ts("2026-08-08T00:00:10Z");
    let batch = fake.source().fetch(&request).await.unwrap();
    assert_eq!(batch.rows.len(), 6);
    assert_eq!(batch.complete_up_to, Some(ts("2026-08-07T23:59:40Z")));
    request.at = ts("2026-08-01T12:00:00Z");
    assert!(fake.source().fetch(&request).await.unwrap().rows.is_empty());
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_single_period_is_an_instant_query_and_may_be_a_scalar() {
    let fake = Fake::start(|asked| {
        let body = format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"scalar\",\
             \"result\":[{},\"0.1\"]}}}}",
            asked.form["time"]
        );
        (200, &[], body)
    })
    .await;
    let mut request = value();
    request.need.window.end = ts("2026-08-02T00:00:00Z");
    let batch = fake.source().fetch(&request).await.unwrap();
    let points = contract::points(&request, &batch).unwrap();
    assert_eq!(points[0].sums, Sums::Value { value: 0.1 });
    assert_eq!(fake.asked()[0].path, "/api/v1/query");
}

#[tokio::test]
async fn a_number_of_now_is_asked_between_periods_and_kept_as_the_newest_one() {
    let fake = Fake::start(|asked| matrix(asked, &[("", "0.1")])).await;
    let mut request = value();
    request.need.grain = Span::seconds(30);
    request.need.query.columns = columns(&[("value", "max_over_time(flag[{{grain}}])")]);
    request.at = ts("2026-08-01T10:00:15Z");
    request.need.window = Window { start: ts("2026-08-01T09:59:45Z"), end: request.at };
    let batch = fake.source().fetch(&request).await.unwrap();
    let points = contract::points(&request, &batch).unwrap();
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].start, ts("2026-08-01T09:59:30Z"));
    let asked = fake.asked();
    let at = ts("2026-08-01T09:59:45Z").as_second();
    assert_eq!(asked[0].form["time"], at.to_string());
    assert_eq!(asked[0].form["query"], "max_over_time(flag[30s])");
}

#[tokio::test]
async fn arms_come_from_a_label_and_a_missing_column_is_no_row() {
    let fake = Fake::start(|asked| {
        let both = [("\"cohort\":\"a\"", "2"), ("\"cohort\":\"b\"", "3")];
        let some = if asked.form["query"].contains("ok") { &both[..1] } else { &both[..] };
        matrix(asked, some)
    })
    .await;
    let mut request = week();
    request.need.arms = vec!["a".into(), "b".into()];
    request.need.query.columns.insert("arm".into(), "cohort".into());
    let batch = fake.source().fetch(&request).await.unwrap();
    let points = contract::points(&request, &batch).unwrap();
    assert_eq!(points.len(), 7);
    assert!(points.iter().all(|point| point.arm == "a"));
    request.need.query.columns.remove("arm");
    let error = fake.source().fetch(&request).await.unwrap_err();
    assert!(error.message.contains("no label arm"), "{error}");
}

#[tokio::test]
async fn more_than_one_series_is_refused_by_the_labels_that_differ() {
    let fake = Fake::start(|asked| {
        matrix(
            asked,
            &[("\"job\":\"x\",\"code\":\"500\"", "1"), ("\"job\":\"x\",\"code\":\"503\"", "1")],
        )
    })
    .await;
    let error = fake.source().fetch(&value()).await.unwrap_err();
    assert_eq!(error.class, FetchClass::Contract);
    assert!(error.message.contains("differ in code:"), "{error}");
}

#[tokio::test]
async fn nan_is_a_gap_for_values_and_refused_for_counts() {
    let fake = Fake::start(|asked| matrix(asked, &[("", "NaN")])).await;
    let request = value();
    let batch = fake.source().fetch(&request).await.unwrap();
    assert!(contract::points(&request, &batch).unwrap().is_empty());
    let request = week();
    let batch = fake.source().fetch(&request).await.unwrap();
    assert!(contract::points(&request, &batch).is_err());
}

#[tokio::test]
async fn warnings_surface_and_remarks_do_not() {
    let fake = Fake::start(|_| {
        let body = success("").replace(
            "\"data\"",
            "\"warnings\":[\"store down\",\"PromQL info: not a counter\"],\"data\"",
        );
        (200, &[], body)
    })
    .await;
    let batch = fake.source().fetch(&value()).await.unwrap();
    assert_eq!(batch.warnings, ["store down"]);
}

#[tokio::test]
async fn histograms_and_unasked_samples_are_refused() {
    let histogram = "{\"metric\":{},\"histograms\":[[1,{\"count\":\"1\"}]]}";
    let unasked = "{\"metric\":{},\"values\":[[1,\"1\"]]}";
    for (series, part) in [(histogram, "native histogram"), (unasked, "not asked for")] {
        let fake = Fake::start(move |_| (200, &[], success(series))).await;
        let error = fake.source().fetch(&value()).await.unwrap_err();
        assert_eq!(error.class, FetchClass::Contract);
        assert!(error.message.contains(part), "{error}");
    }
}

/// Failures as the API states them.
fn failures_in_json() -> Vec<(Reply, FetchClass, &'static str)> {
    vec![
        (error(400, "bad_data", "parse error"), FetchClass::UserError, "parse error"),
        (error(401, "", "no"), FetchClass::Auth, "401"),
        (error(403, "", "no"), FetchClass::Auth, "403"),
        (error(406, "not_acceptable", "x"), FetchClass::UserError, "406"),
        (error(422, "execution", "context deadline exceeded"), FetchClass::Timeout, "deadline"),
        (error(422, "execution", "query was canceled"), FetchClass::Transient, "canceled"),
        (error(422, "execution", "vector cannot match"), FetchClass::UserError, "cannot match"),
        (error(499, "canceled", "x"), FetchClass::Transient, "499"),
        (error(500, "internal", "x"), FetchClass::Transient, "internal"),
        (error(503, "timeout", "query timed out"), FetchClass::Timeout, "timed out"),
        (error(200, "execution", "x"), FetchClass::UserError, "execution"),
    ]
}

/// What proxies and broken servers answer.
fn failures_of_others() -> Vec<(Reply, FetchClass, &'static str)> {
    let html = "<html>login</html>";
    vec![
        ((404, &[], "404 page not found".into()), FetchClass::UserError, "page not found"),
        ((405, &[], "no POST".into()), FetchClass::UserError, "405"),
        ((503, &[], "starting".into()), FetchClass::Transient, "starting"),
        ((502, &[("content-type", "text/html")], html.into()), FetchClass::Transient, "web page"),
        ((504, &[], html.into()), FetchClass::Timeout, "web page"),
        ((200, &[], html.into()), FetchClass::Contract, "web page"),
        ((200, &[], "{\"status\":\"success\"}".into()), FetchClass::Contract, "without data"),
        ((200, &[], "{\"status\":".into()), FetchClass::Contract, "EOF"),
        (
            (302, &[("location", "http://x/?t=1")], String::new()),
            FetchClass::UserError,
            "http://x/",
        ),
    ]
}

#[tokio::test]
async fn every_failure_has_its_class() {
    for (reply, class, part) in failures_in_json().into_iter().chain(failures_of_others()) {
        let shown = format!("{reply:?}");
        let fake = Fake::start(move |_| reply.clone()).await;
        let error = fake.source().fetch(&value()).await.unwrap_err();
        assert_eq!(error.class, class, "{shown}: {error}");
        assert!(error.message.contains(part), "{shown}: {error}");
        assert!(!error.message.contains("t=1"), "{error}");
    }
}

#[tokio::test]
async fn retry_after_is_read() {
    let fake = Fake::start(|_| (429, &[("retry-after", "7")], "slow down".into())).await;
    let error = fake.source().fetch(&value()).await.unwrap_err();
    assert_eq!((error.class, error.retry_after_ms), (FetchClass::Throttled, Some(7_000)));
}

#[tokio::test]
async fn too_many_samples_split_the_run_until_it_passes() {
    let fake = Fake::start(|asked| {
        if asked.form.contains_key("time") {
            return matrix(asked, &[("", "1")]);
        }
        error(422, "execution", "query processing would load too many samples")
    })
    .await;
    let batch = fake.source().fetch(&value()).await.unwrap();
    assert_eq!(batch.rows.len(), 7);
    let fake = Fake::start(|_| error(422, "execution", "would load too many samples")).await;
    let error = fake.source().fetch(&value()).await.unwrap_err();
    assert_eq!(error.class, FetchClass::CostGuard);
}

#[tokio::test]
async fn an_oversize_answer_is_cut_off() {
    let fake = Fake::start(|_| (200, &[], success(&" ".repeat(5_000)))).await;
    let mut config = PrometheusConfig::new(&fake.url);
    config.max_body_bytes = 1_000;
    let source = PrometheusSource::new(&config).unwrap();
    let error = source.fetch(&value()).await.unwrap_err();
    assert!(error.message.contains("larger than 1000 bytes"), "{error}");
}

#[tokio::test]
async fn nobody_there_is_transient_and_a_hang_is_a_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = PrometheusConfig::new(format!("http://{}", listener.local_addr().unwrap()));
    config.timeout_secs = 1;
    let source = PrometheusSource::new(&config).unwrap();
    let error = source.fetch(&value()).await.unwrap_err();
    assert_eq!(error.class, FetchClass::Timeout, "{error}");
    drop(listener);
    let error = source.fetch(&value()).await.unwrap_err();
    assert_eq!(error.class, FetchClass::Transient, "{error}");
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "s3cret-token\n").unwrap();
    let secret = SecretRef::File(path.clone());
    let auths = [
        (PrometheusAuth::Bearer { token: secret.clone() }, "authorization", "Bearer s3cret-token"),
        (
            PrometheusAuth::Basic { username: "u".into(), password: secret.clone() },
            "authorization",
            "Basic dTpzM2NyZXQtdG9rZW4=",
        ),
        (
            PrometheusAuth::Header { name: "X-Scope-OrgID".into(), value: secret },
            "x-scope-orgid",
            "s3cret-token",
        ),
    ];
    for (auth, header, value_sent) in auths {
        let fake = Fake::start(|_| (401, &[], "denied".into())).await;
        let config = PrometheusConfig { auth, ..PrometheusConfig::new(&fake.url) };
        let source = PrometheusSource::new(&config).unwrap();
        let error = source.fetch(&value()).await.unwrap_err();
        assert_eq!(fake.asked()[0].headers[header], value_sent);
        assert!(!format!("{error:?} {source:?}").contains("s3cret"), "{error}");
    }
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn the_probe_asks_something_that_every_server_knows() {
    let fake = Fake::start(|asked| matrix(asked, &[("", "1")])).await;
    fake.source().probe().await.unwrap();
    assert_eq!(fake.asked()[0].form["query"], "vector(1)");
}

#[tokio::test]
async fn queries_that_cannot_be_asked_are_user_errors() {
    let source = PrometheusSource::new(&PrometheusConfig::new("http://127.0.0.1:9")).unwrap();
    let mut missing = week();
    missing.need.query.columns.remove("den");
    let mut file = week();
    file.need.query.file = Some("x.csv".into());
    let mut unknown = week();
    unknown.need.query.columns.insert("nun".into(), "x".into());
    let mut quoted = value();
    quoted.need.query.columns = columns(&[("value", "x{a=\"{{grain}}\"}")]);
    let mut comment = value();
    comment.need.query.columns = columns(&[("value", "x # {{grain}}")]);
    let cases = [
        (missing, "no PromQL for den"),
        (file, "no file"),
        (unknown, "nun is not one of"),
        (quoted, "inside a string"),
        (comment, "inside a comment"),
    ];
    for (request, part) in cases {
        let error = source.fetch(&request).await.unwrap_err();
        assert_eq!(error.class, FetchClass::UserError, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn configurations_that_leak_or_cannot_work_are_refused() {
    let refused = |config: PrometheusConfig| PrometheusSource::new(&config).unwrap_err();
    let with = PrometheusConfig::new;
    assert!(refused(with("ftp://x")).contains("neither http nor https"));
    assert!(refused(with("http://u:p@x")).contains("by reference"));
    assert!(refused(with("http://x/?a=1")).contains("no query"));
    assert!(refused(with("nonsense")).contains("url"));
    let token = SecretRef::Env("X".into());
    let auth = PrometheusAuth::Bearer { token };
    assert!(refused(PrometheusConfig { auth, ..with("http://x") }).contains("https only"));
}

#[test]
fn strings_and_comments_of_promql_are_recognised() {
    assert_eq!(opaque("\"a\\\"b\" x").unwrap().0, 6);
    assert_eq!(opaque("'a'b").unwrap().0, 3);
    assert_eq!(opaque("`a\\`b").unwrap().0, 4);
    assert_eq!(opaque("# a\nb").unwrap().0, 3);
    assert_eq!(opaque("\"open").unwrap().0, 5);
    assert_eq!(opaque("a"), None);
}
