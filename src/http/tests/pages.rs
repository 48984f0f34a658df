//! The pages as text: escaped, relative, complete without JavaScript.

use axum::http::StatusCode;
use judge::decide::Verdict;

use super::{ID, Site, at, named, sample_record};
use crate::store::BrokenFile;

const HOSTILE: &str = "<script>alert('x')</script> & \"co\"\u{202e}\u{1b}";

/// Values of every attribute of that name.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let mark = format!(" {name}=\"");
    let parts = html.split(mark.as_str()).skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn an_empty_install_shows_the_three_steps() {
    let page = Site::empty().get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.header("content-type").starts_with("text/html"));
    for step in ["verdictd new --template product", "verdictd check", "experiments folder"] {
        assert!(page.body.contains(step), "{step}");
    }
}

#[tokio::test]
async fn the_portfolio_says_verdict_reason_and_numbers_worst_first() {
    let site = Site::sample().await;
    site.add(named(sample_record(Verdict::Stop), "a-stopped", "Stopped one")).await;
    let broken = BrokenFile {
        file: "bad.yaml".to_owned(),
        revision_hash: "h".to_owned(),
        diagnostics_text: "error[E0102]: unknown key `sorce`".to_owned(),
        seen_at: at(),
    };
    site.state.store.put_broken(broken).await.unwrap();
    let html = site.get("/").await.body;
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text} in {html}"));
    assert!(place("bad.yaml") < place("Stopped one"));
    assert!(place("Stopped one") < place("Sample, show new signups a checklist"));
    assert!(html.contains("unknown key `sorce`"));
    assert!(html.contains("continue: graduate") && html.contains("stop: tripped"));
    assert!(html.contains("+6.0 pts") && html.contains("Product lead"), "{html}");
    for absent in ["NaN", "Infinity", "undefined", "<script"] {
        assert!(!html.contains(absent), "{absent}");
    }
}

#[tokio::test]
async fn text_of_users_is_escaped_everywhere() {
    let site = Site::empty();
    let mut record = named(sample_record(Verdict::Continue), ID, HOSTILE);
    record.input.experiment.mechanism.because = HOSTILE.to_owned();
    record.input.experiment.aims[0].behaviour = HOSTILE.to_owned();
    record.input.experiment.owner.name = HOSTILE.to_owned();
    record.atoms[0].text = HOSTILE.to_owned();
    record.rule.text = HOSTILE.to_owned();
    site.add(record).await;
    for path in ["/", "/x/sample-checklist", "/x/sample-checklist/e/1", "/log"] {
        let html = site.get(path).await.body;
        assert!(!html.contains("<script"), "{path}");
        assert!(!html.contains(['\u{202e}', '\u{1b}']), "{path}: nothing turns a line around");
        assert!(path == "/log" || html.contains("&lt;script&gt;"), "{path}");
    }
}

#[tokio::test]
async fn a_word_of_any_length_breaks_and_a_title_keeps_to_itself() {
    let site = Site::empty();
    let title = format!("{}\u{5d0}", "x".repeat(3_000));
    site.add(named(sample_record(Verdict::Continue), ID, &title)).await;
    let html = site.get("/").await.body;
    assert!(html.contains(&format!("<bdi>{title}</bdi>")), "{html}");
    let style = site.get("/assets/style.css").await.body;
    let rule = style.lines().find(|line| line.contains("tbody th,")).unwrap();
    assert!(rule.ends_with("{overflow-wrap:anywhere}"), "{rule}");
}

#[tokio::test]
async fn links_are_relative_so_that_a_path_prefix_works() {
    let site = Site::sample().await;
    for (path, base) in [
        ("/", "/"),
        ("/log", "/"),
        ("/x/sample-checklist", "/x/"),
        ("/x/sample-checklist/e/1", "/x/sample-checklist/e/"),
    ] {
        let html = site.get(path).await.body;
        let root = url::Url::parse("http://h").unwrap().join(base).unwrap();
        let links = attributes(&html, "href");
        assert!(links.len() >= 4, "{path}");
        for link in links {
            assert!(!link.starts_with('/') && !link.contains("://"), "{path}: {link}");
            if link.starts_with('#') {
                continue;
            }
            let target = root.join(link).unwrap();
            let status = site.get(target.path()).await.status;
            assert_eq!(status, StatusCode::OK, "{path}: {link} is {target}");
        }
    }
}

#[tokio::test]
async fn the_experiment_page_shows_why_clause_by_clause() {
    let html = Site::sample().await.get("/x/sample-checklist").await.body;
    for text in [
        "Why this verdict",
        "action_x_24h &gt;= +10%",
        "activation_14d &gt;= +3pts",
        "+6.0 pts",
        "(activation_14d 27.0 % -&gt; 35.0 % by 2026-09-30)",
        "errors",
        "new signups complete their first win",
        "because it shows what to do next",
        "proxy without outcome",
        "0.040 % against 0.1 %",
        "Evaluations",
        "Decision log",
    ] {
        assert!(html.contains(text), "{text} is not in {html}");
    }
}

#[tokio::test]
async fn an_evaluation_keeps_its_own_page() {
    let site = Site::sample().await;
    let first = site.get("/x/sample-checklist/e/1").await.body;
    let mut later = sample_record(Verdict::Change);
    later.input.at = "2026-08-12T00:00:00Z".parse().unwrap();
    site.add(named(later, ID, "Another title")).await;
    assert_eq!(site.get("/x/sample-checklist/e/1").await.body, first);
    let second = site.get("/x/sample-checklist/e/2").await.body;
    assert!(second.contains("Another title") && second.contains("change: mechanism"));
}

#[tokio::test]
async fn the_stylesheet_is_ours_and_asks_nobody_else() {
    let style = Site::empty().get("/assets/style.css").await;
    assert_eq!(style.status, StatusCode::OK);
    assert!(style.header("content-type").starts_with("text/css"));
    assert!(style.body.contains("prefers-color-scheme:dark"));
    assert!(!style.body.contains("url(") && !style.body.contains("@import"));
}
